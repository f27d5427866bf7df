/*
 * Prediction in C: loads a model that `lockstep train` or train.cc wrote and classifies a sequence
 * of one channel.
 *   classify MODEL VALUE...
 */
#include <lockstep/lockstep.h>
#include <stdio.h>
#include <stdlib.h>

static int fail(const char* what) {
  fprintf(stderr, "%s: %s\n", what, lockstep_last_error());
  return 1;
}

static int classify(const lockstep_model* model, const lockstep_dataset* sequence) {
  int best = 0;
  const char* name = NULL;
  if (lockstep_model_predict(model, sequence, /*threads=*/1, &best, /*capacity=*/1) !=
      LOCKSTEP_OK) {
    return fail("prediction");
  }
  if (lockstep_model_class_name(model, (size_t)best, &name) != LOCKSTEP_OK) return fail("class");
  printf("%s\n", name);
  return 0;
}

int main(int argc, char** argv) {
  lockstep_model* model = NULL;
  lockstep_dataset* sequence = NULL;
  const size_t length = argc > 2 ? (size_t)argc - 2 : 0;
  float* values = malloc((length + 1) * sizeof *values);
  int result = 1;
  size_t i;

  if (length == 0 || values == NULL) {
    fprintf(stderr, "usage: classify MODEL VALUE...\n");
  } else if (lockstep_model_load(argv[1], &model) != LOCKSTEP_OK) {
    fail("model");
  } else {
    for (i = 0; i < length; ++i) values[i] = strtof(argv[i + 2], NULL);
    if (lockstep_dataset_create(/*channels=*/1, /*classes=*/0, NULL, &sequence) != LOCKSTEP_OK ||
        lockstep_dataset_add(sequence, values, length, LOCKSTEP_NO_LABEL) != LOCKSTEP_OK) {
      fail("sequence");
    } else {
      result = classify(model, sequence);
    }
  }
  lockstep_dataset_free(sequence);
  lockstep_model_free(model);
  free(values);
  return result;
}
