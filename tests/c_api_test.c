/* The C functions, called from C99: each works once. c_api_test.cc has the errors. */
#include <lockstep/lockstep.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static int failures = 0;

static void check(int holds, const char* what) {
  if (holds) return;
  printf("FAILED: %s (last error: %s)\n", what, lockstep_last_error());
  ++failures;
}
#define CHECK(condition) check((condition), #condition)
#define CHECK_OK(call) check((call) == LOCKSTEP_OK, #call)

static void check_backends(void) {
  const lockstep_backend* list = NULL;
  const char* name = NULL;
  size_t count = 0;
  int threads = 0;
  CHECK(strcmp(lockstep_version(), LOCKSTEP_VERSION) == 0);
  CHECK(strcmp(lockstep_status_text(LOCKSTEP_OK), "success") == 0);
  CHECK_OK(lockstep_backends(&list, &count));
  CHECK(count > 0 && strcmp(list[count - 1].name, "reference") == 0);
  CHECK_OK(lockstep_set_backend("reference"));
  CHECK_OK(lockstep_active_backend(&name));
  CHECK(strcmp(name, "reference") == 0);
  CHECK_OK(lockstep_set_backend(NULL));
  CHECK_OK(lockstep_default_threads(&threads));
  CHECK(threads >= 1);
  CHECK(lockstep_set_backend("no/such") == LOCKSTEP_INVALID_ARGUMENT);
  CHECK(strstr(lockstep_last_error(), "no/such") != NULL);
}

static void check_kernels(void) {
  const float x[4] = {0, 1, -1, 2};
  const int labels[2] = {1, 1};
  float y[4];
  float z[4];
  const float* const matrices[2] = {x, x};
  float* const results[2] = {y, z};
  double loss[2];
  size_t correct = 0;
  lockstep_gemm_plan* plan = NULL;
  lockstep_packed_matrix* packed = NULL;
  CHECK_OK(lockstep_tanh(x, y, 4));
  CHECK(fabs((double)y[1] - 0.761594) < 1e-5);
  CHECK_OK(lockstep_exp(x, y, 4));
  CHECK(fabs((double)y[1] - 2.718282) < 1e-5);
  CHECK_OK(lockstep_sigmoid(x, y, 4));
  CHECK(y[0] == 0.5f);
  CHECK_OK(lockstep_relu(x, y, 4));
  CHECK(y[2] == 0 && y[3] == 2);
  CHECK_OK(lockstep_gemm(LOCKSTEP_PLAIN, LOCKSTEP_TRANSPOSED, 2, 2, 2, 1, x, 2, x, 2, 0, y, 2, 0));
  CHECK(y[0] == 1 && y[1] == 2 && y[2] == 2 && y[3] == 5);
  CHECK_OK(lockstep_gemm_plan_create(0, 1, 2, 2, 2, 1, 2, 2, 0, 2, 0, &plan));
  CHECK_OK(lockstep_gemm_plan_run(plan, x, x, y));
  CHECK(y[0] == 1 && y[1] == 2 && y[2] == 2 && y[3] == 5);
  CHECK_OK(lockstep_gemm_plan_run_batch_strided(plan, 1, x, 0, x, 0, z, 0));
  CHECK(z[0] == 1 && z[1] == 2 && z[2] == 2 && z[3] == 5);
  CHECK_OK(lockstep_gemm_plan_run_batch(plan, 1, matrices, matrices, results));
  CHECK(y[0] == 1 && y[1] == 2 && y[2] == 2 && y[3] == 5);
  lockstep_gemm_plan_free(plan);
  CHECK_OK(lockstep_gemm_batch(0, 0, 2, 2, 2, 1, matrices, 2, matrices, 2, 0, results, 2, 2, 0));
  CHECK(y[0] == -1 && y[1] == 2 && y[2] == -2 && y[3] == 3);
  CHECK(z[0] == -1 && z[1] == 2 && z[2] == -2 && z[3] == 3);
  CHECK_OK(lockstep_gemm_batch_strided(0, 0, 1, 2, 2, 1, x, 2, 2, x, 2, 0, 1, z, 2, 2, 2, 0));
  CHECK(z[0] == -2 && z[1] == 4 && z[2] == -4 && z[3] == 6);
  CHECK_OK(lockstep_pack(LOCKSTEP_TRANSPOSED, 2, 2, x, 2, &packed));
  CHECK_OK(lockstep_gemm_packed(2, x, 2, packed, NULL, 0, LOCKSTEP_EPILOGUE_NONE, y, 2));
  CHECK(y[0] == 1 && y[1] == 2 && y[2] == 2 && y[3] == 5);
  lockstep_packed_matrix_free(packed);
  CHECK_OK(lockstep_softmax(2, 2, x, 2, y, 2));
  CHECK(fabs((double)(y[0] + y[1]) - 1) < 1e-6);
  CHECK_OK(lockstep_log_softmax(2, 2, x, 2, y, 2));
  CHECK(y[0] < 0);
  CHECK_OK(lockstep_softmax_cross_entropy(2, 2, x, 2, labels, y, 2, loss, &correct));
  CHECK(correct == 2 && loss[0] > 0);
  CHECK_OK(lockstep_mean_softmax_cross_entropy(2, 2, x, 2, labels, y, 2, loss, &correct));
  CHECK(correct == 2 && loss[0] > 0);
}

static int stop_at_fifth(const lockstep_epoch* epoch, void* context) {
  *(double*)context = epoch->loss;
  return epoch->epoch == 5;
}

static void check_models(void) {
  static const char* const kPath = "c_api_test.safetensors";
  lockstep_dataset* train = NULL;
  lockstep_dataset* test = NULL;
  lockstep_dataset* own = NULL;
  lockstep_model* model = NULL;
  lockstep_model* loaded = NULL;
  lockstep_dataset_info sizes;
  lockstep_model_info info;
  lockstep_training training;
  lockstep_model_info loaded_info;
  lockstep_options* options = NULL;
  char text[8];
  const char* name = NULL;
  const float values[3] = {1, 2, 3};
  float probabilities[6];
  double accuracy = 0;
  double loss = 0;
  int label = 0;

  CHECK_OK(lockstep_dataset_builtin("synthetic-control", 1, &train, &test));
  CHECK_OK(lockstep_dataset_get_info(train, &sizes));
  CHECK(sizes.classes == 6 && sizes.channels == 1);
  CHECK_OK(lockstep_dataset_label(train, 0, &label));
  CHECK(label >= 0);
  CHECK_OK(lockstep_options_create(&options));
  CHECK_OK(lockstep_options_set(options, "hidden", "8"));
  CHECK_OK(lockstep_options_get(options, "hidden", text, sizeof text));
  CHECK(strcmp(text, "8") == 0);
  CHECK_OK(lockstep_model_create(train, options, &model));
  CHECK_OK(lockstep_model_train(model, train, NULL, NULL, stop_at_fifth, &loss, &training));
  CHECK(training.status == LOCKSTEP_TRAINING_STOPPED && training.kept_epoch == 5);
  CHECK(loss > 0);
  CHECK_OK(lockstep_model_evaluate(model, test, 0, &accuracy, &loss));
  CHECK(accuracy > 1. / 6);
  CHECK_OK(lockstep_model_save(model, kPath));
  CHECK_OK(lockstep_model_load(kPath, &loaded));
  CHECK(remove(kPath) == 0);
  CHECK_OK(lockstep_model_get_info(model, &info));
  CHECK_OK(lockstep_model_get_info(loaded, &loaded_info));
  CHECK(info.hidden == 8 && info.weights_hash == loaded_info.weights_hash);
  CHECK_OK(lockstep_dataset_create(1, 0, NULL, &own));
  CHECK_OK(lockstep_dataset_add(own, values, 3, LOCKSTEP_NO_LABEL));
  CHECK_OK(lockstep_model_predict(loaded, own, 1, &label, 1));
  CHECK_OK(lockstep_model_predict_proba(loaded, own, 1, probabilities, 6));
  CHECK(label >= 0 && label < 6 && probabilities[label] > 1.f / 6);
  CHECK_OK(lockstep_model_class_name(loaded, (size_t)label, &name));
  CHECK(name != NULL);
  lockstep_dataset_free(own);
  CHECK(lockstep_dataset_read("no-such.csv", &own) == LOCKSTEP_FILE_ERROR && own == NULL);

  lockstep_dataset_free(train);
  lockstep_dataset_free(test);
  lockstep_options_free(options);
  lockstep_model_free(model);
  lockstep_model_free(loaded);
}

int main(void) {
  check_backends();
  check_kernels();
  check_models();
  printf("%d failures\n", failures);
  return failures != 0;
}
