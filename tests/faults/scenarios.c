#include "scenarios.h"

#include <stdlib.h>
#include <string.h>

#include "fixtures.h"

/* One call under the fault. */
#define FAULTY(tried)                                                      \
  (fault_arm(trial.call, trial.number, trial.how), trial.status = (tried), \
   trial.hits = fault_disarm(), trial.status)

/* Scenarios: each makes one call under the fault, checks what it left and gives the hash of what it
   made, if it made it. */

static uint64_t run_gemm(void) {
  static float c[kSize * kSize];
  if (FAULTY(lockstep_gemm(1, 1, kSize, kSize, kSize, 2, matrix, kSize, matrix, kSize, 0, c, kSize,
                           1)) != LOCKSTEP_OK) {
    return 0;
  }
  return hash_of(c, sizeof c);
}

/* Of the first half of B's columns and of the second, side by side. */
static uint64_t run_batch(void) {
  static float c[kSize * kSize];
  if (FAULTY(lockstep_gemm_batch_strided(1, 0, kSize, kSize / 2, kSize, 2, matrix, kSize, 0, matrix,
                                         kSize, kSize / 2, 0, c, kSize, kSize / 2, 2, 1)) !=
      LOCKSTEP_OK) {
    return 0;
  }
  return hash_of(c, sizeof c);
}

static uint64_t run_plan(void) {
  lockstep_gemm_plan* plan = (lockstep_gemm_plan*)matrix;
  const lockstep_status status =
      FAULTY(lockstep_gemm_plan_create(0, 0, 9, 9, 9, 1, 9, 9, 0, 9, 1, &plan));
  CHECK((plan == NULL) == (status != LOCKSTEP_OK));
  lockstep_gemm_plan_free(plan);
  return 1;
}

static uint64_t run_pack(void) {
  lockstep_packed_matrix* packed = (lockstep_packed_matrix*)matrix;
  const lockstep_status status = FAULTY(lockstep_pack(0, kSize, kSize, matrix, kSize, &packed));
  CHECK((packed == NULL) == (status != LOCKSTEP_OK));
  lockstep_packed_matrix_free(packed);
  return 1;
}

static uint64_t run_backends(void) {
  const lockstep_backend* list = NULL;
  size_t count = 0;
  return FAULTY(lockstep_backends(&list, &count)) == LOCKSTEP_OK ? count : 0;
}

static uint64_t run_default_threads(void) {
  int count = 0;
  return FAULTY(lockstep_default_threads(&count)) == LOCKSTEP_OK ? (uint64_t)count : 0;
}

/* An argument that is refused, whose sentence needs memory. */
static uint64_t run_refused(void) {
  const lockstep_status status = FAULTY(lockstep_set_backend("no such backend"));
  CHECK(status == LOCKSTEP_OUT_OF_MEMORY || status == LOCKSTEP_INVALID_ARGUMENT);
  CHECK(strlen(lockstep_last_error()) > 0);
  if (status == LOCKSTEP_INVALID_ARGUMENT) trial.status = LOCKSTEP_OK;
  return 1;
}

static uint64_t hash_of_data(const lockstep_dataset* made) {
  lockstep_dataset_info info;
  need(lockstep_dataset_get_info(made, &info));
  return hash_of(&info, sizeof info);
}

static uint64_t made_data(lockstep_status status, lockstep_dataset* made) {
  CHECK((made == NULL) == (status != LOCKSTEP_OK));
  const uint64_t hash = made == NULL ? 0 : hash_of_data(made);
  lockstep_dataset_free(made);
  return hash;
}

static uint64_t run_create(void) {
  const char* const names[] = {"another class whose name is far too long", "b", "c"};
  lockstep_dataset* made = (lockstep_dataset*)matrix;
  const lockstep_status status = FAULTY(lockstep_dataset_create(3, 3, names, &made));
  return made_data(status, made);
}

static uint64_t run_add(void) {
  lockstep_dataset* const own = make_data();
  const uint64_t before = hash_of_data(own);
  const lockstep_status status = FAULTY(lockstep_dataset_add(own, matrix, 1000, 1));
  const uint64_t after = hash_of_data(own);
  CHECK((before == after) == (status != LOCKSTEP_OK));
  lockstep_dataset_free(own);
  return after;
}

static uint64_t read_data(const char* path) {
  char name[512];
  snprintf(name, sizeof name, "%s", path);
  lockstep_dataset* made = (lockstep_dataset*)matrix;
  const lockstep_status status = FAULTY(lockstep_dataset_read(name, &made));
  if (status == LOCKSTEP_FILE_ERROR) {
    *strrchr(name, '/') = '\0'; /* of arrays beside, the others too */
    CHECK(strstr(lockstep_last_error(), name) != NULL);
  }
  return made_data(status, made);
}

static uint64_t run_read_gz(void) { return read_data(data_of("two_rows.csv.gz")); }
static uint64_t run_read_npz(void) { return read_data(data_of("zip64_deflated.npz")); }

static uint64_t run_read_npy(void) { return read_data(path_of("X.npy")); }

static uint64_t run_builtin(void) {
  lockstep_dataset* train = (lockstep_dataset*)matrix;
  lockstep_dataset* test = (lockstep_dataset*)matrix;
  const lockstep_status status =
      FAULTY(lockstep_dataset_builtin("synthetic-control", 1, &train, &test));
  CHECK((test == NULL) == (status != LOCKSTEP_OK));
  lockstep_dataset_free(test);
  return made_data(status, train);
}

static uint64_t run_options(void) {
  lockstep_options* made = (lockstep_options*)matrix;
  const lockstep_status status = FAULTY(lockstep_options_create(&made));
  CHECK((made == NULL) == (status != LOCKSTEP_OK));
  lockstep_options_free(made);
  return 1;
}

static uint64_t run_set(void) {
  char text[32];
  need(lockstep_options_set(options, "cell", "gru"));
  const lockstep_status status = FAULTY(lockstep_options_set(options, "cell", "lstm"));
  need(lockstep_options_get(options, "cell", text, sizeof text));
  CHECK(strcmp(text, status == LOCKSTEP_OK ? "lstm" : "gru") == 0);
  need(lockstep_options_set(options, "cell", "gru"));
  return 1;
}

static uint64_t made_model(lockstep_status status, lockstep_model* made) {
  CHECK((made == NULL) == (status != LOCKSTEP_OK));
  const uint64_t hash = made == NULL ? 0 : weights_of(made);
  lockstep_model_free(made);
  return hash;
}

static uint64_t run_model(void) {
  lockstep_model* made = (lockstep_model*)matrix;
  const lockstep_status status = FAULTY(lockstep_model_create(data, options, &made));
  return made_model(status, made);
}

static lockstep_model* new_model(void) {
  lockstep_model* made = NULL;
  need(lockstep_model_create(data, options, &made));
  return made;
}

static uint64_t run_train(void) {
  lockstep_model* const own = new_model();
  if (FAULTY(lockstep_model_train(own, data, NULL, NULL, NULL, NULL, NULL)) != LOCKSTEP_OK) {
    int classes[kSequences];
    need(lockstep_model_predict(own, data, 1, classes, kSequences));
    need(lockstep_model_train(own, data, NULL, NULL, NULL, NULL, NULL));
  }
  const uint64_t hash = trial.status == LOCKSTEP_OK ? weights_of(own) : 0;
  lockstep_model_free(own);
  return hash;
}

static uint64_t run_predict(void) {
  float probabilities[2 * kSequences];
  const uint64_t before = weights_of(model);
  const lockstep_status status =
      FAULTY(lockstep_model_predict_proba(model, data, 1, probabilities, 2 * kSequences));
  CHECK(weights_of(model) == before);
  return status == LOCKSTEP_OK ? hash_of(probabilities, sizeof probabilities) : 0;
}

static uint64_t run_classes(void) {
  int classes[kSequences];
  const lockstep_status status =
      FAULTY(lockstep_model_predict(model, data, 1, classes, kSequences));
  return status == LOCKSTEP_OK ? hash_of(classes, sizeof classes) : 0;
}

static uint64_t run_measure(void) {
  lockstep_evaluation evaluation;
  const lockstep_status status = FAULTY(lockstep_model_measure(model, data, 1, &evaluation));
  return status == LOCKSTEP_OK ? evaluation.samples : 0;
}

/* What was written and could not be renamed stays where the sentence says so, and can be read. */
static void remove_kept(void) {
  char name[512];
  lockstep_model* kept = NULL;
  const char* const said = strstr(lockstep_last_error(), "stays in '");
  if (said == NULL) return;
  CHECK(sscanf(said, "stays in '%511[^']", name) == 1);
  if (lockstep_model_load(name, &kept) != LOCKSTEP_OK) need(lockstep_model_resume(name, &kept));
  lockstep_model_free(kept);
  CHECK(remove(name) == 0);
}

/* Over an old file, which is there whole or the new one is. */
static uint64_t run_save(void) {
  lockstep_model* other = new_model();
  need(lockstep_model_save(model, path_of("other")));
  const uint64_t after = file_hash("other");
  need(lockstep_model_save(other, path_of("model")));
  lockstep_model_free(other);
  const uint64_t before = file_hash("model");
  const int files = count_files();
  const lockstep_status status = FAULTY(lockstep_model_save(model, path_of("model")));
  const uint64_t now = file_hash("model");
  CHECK(before != after);
  CHECK(now == (status == LOCKSTEP_OK ? after : before));
  if (status == LOCKSTEP_FILE_ERROR) CHECK(strstr(lockstep_last_error(), path_of("model")));
  if (status == LOCKSTEP_FILE_ERROR) remove_kept();
  CHECK(count_files() == files);
  return status == LOCKSTEP_OK ? now : 0;
}

static uint64_t run_load(void) {
  need(lockstep_model_save(model, path_of("model")));
  lockstep_model* made = (lockstep_model*)matrix;
  const lockstep_status status = FAULTY(lockstep_model_load(path_of("model"), &made));
  if (status == LOCKSTEP_FILE_ERROR) CHECK(strstr(lockstep_last_error(), path_of("model")));
  return made_model(status, made);
}

static uint64_t run_checkpoints(void) {
  lockstep_model* own = new_model();
  const int files = count_files();
  need(lockstep_model_set_checkpoints(own, path_of("checkpoint"), 1, 0));
  const lockstep_status status =
      FAULTY(lockstep_model_train(own, data, NULL, NULL, NULL, NULL, NULL));
  const uint64_t hash = status == LOCKSTEP_OK ? weights_of(own) : 0;
  lockstep_model_free(own);
  /* There is none, or one that resumes. */
  if (file_hash("checkpoint") != 0) {
    need(lockstep_model_resume(path_of("checkpoint"), &own));
    lockstep_model_free(own);
  }
  remove(path_of("checkpoint"));
  remove(path_of("checkpoint.previous"));
  if (status == LOCKSTEP_FILE_ERROR) remove_kept();
  CHECK(count_files() == files);
  return hash;
}

static void keep_checkpoint(void) {
  lockstep_model* own = new_model();
  need(lockstep_model_set_checkpoints(own, path_of("kept"), 0, 0));
  need(lockstep_model_train(own, data, NULL, NULL, NULL, NULL, NULL));
  lockstep_model_free(own);
}

static uint64_t run_resume(void) {
  if (file_hash("kept") == 0) keep_checkpoint();
  lockstep_model* made = (lockstep_model*)matrix;
  const lockstep_status status = FAULTY(lockstep_model_resume(path_of("kept"), &made));
  if (status == LOCKSTEP_FILE_ERROR) CHECK(strstr(lockstep_last_error(), path_of("kept")));
  return made_model(status, made);
}

const struct scenario kScenarios[] = {{"gemm", run_gemm, 0},
                                      {"gemm batch", run_batch, 0},
                                      {"gemm plan", run_plan, 0},
                                      {"pack", run_pack, 0},
                                      {"backends", run_backends, 0},
                                      {"default threads", run_default_threads, 0},
                                      {"a refused argument", run_refused, 0},
                                      {"data set", run_create, 0},
                                      {"add", run_add, 0},
                                      {"read .csv.gz", run_read_gz, 1},
                                      {"read .npz", run_read_npz, 1},
                                      {"read .npy", run_read_npy, 1},
                                      {"built-in data", run_builtin, 0},
                                      {"options", run_options, 0},
                                      {"set an option", run_set, 0},
                                      {"model", run_model, 0},
                                      {"train", run_train, 0},
                                      {"predict_proba", run_predict, 0},
                                      {"predict", run_classes, 0},
                                      {"measure", run_measure, 0},
                                      {"save", run_save, 1},
                                      {"load", run_load, 1},
                                      {"checkpoints", run_checkpoints, 1},
                                      {"resume", run_resume, 1}};
const int kScenarioCount = sizeof kScenarios / sizeof *kScenarios;
