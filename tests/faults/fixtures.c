#define _GNU_SOURCE
#include "fixtures.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct trial trial;

static char folder[64];

void need(lockstep_status status) {
  if (status == LOCKSTEP_OK) return;
  fprintf(stderr, "%s: cannot prepare: %s\n", trial.scenario, lockstep_last_error());
  exit(1);
}

static char path_text[512];
const char* path_of(const char* name) {
  snprintf(path_text, sizeof path_text, "%s/%s", folder, name);
  return path_text;
}
const char* data_of(const char* name) {
  snprintf(path_text, sizeof path_text, "%s/%s", trial.test_data, name);
  return path_text;
}

uint64_t hash_of(const void* bytes, size_t size) {
  const unsigned char* byte = bytes;
  uint64_t hash = 0xcbf29ce484222325u;
  for (size_t i = 0; i < size; ++i) hash = (hash ^ byte[i]) * 0x100000001b3u;
  return hash;
}

uint64_t file_hash(const char* name) {
  static char bytes[1 << 20];
  FILE* const file = fopen(path_of(name), "rb");
  if (file == NULL) return 0;
  const size_t size = fread(bytes, 1, sizeof bytes, file);
  fclose(file);
  return hash_of(bytes, size);
}

int count_files(void) {
  DIR* const entries = opendir(folder);
  int count = 0;
  while (readdir(entries) != NULL) ++count;
  closedir(entries);
  return count - 2; /* . and .. */
}

uint64_t weights_of(const lockstep_model* of) {
  lockstep_model_info info;
  need(lockstep_model_get_info(of, &info));
  return info.weights_hash;
}

lockstep_dataset* data;
lockstep_options* options;
lockstep_model* model;
float matrix[kSize * kSize];

lockstep_dataset* make_data(void) {
  const char* const names[] = {"a class whose name is too long to be kept without the heap", "b"};
  lockstep_dataset* made = NULL;
  need(lockstep_dataset_create(2, 2, names, &made));
  for (int i = 0; i < kSequences; ++i) {
    float values[2 * 5];
    for (int j = 0; j < 10; ++j) values[j] = (float)((i * 7 + j * 3) % 11) - 5;
    need(lockstep_dataset_add(made, values, (size_t)(3 + i % 3), i % 2));
  }
  return made;
}

/* A file of NumPy's: a header of 128 bytes, then the numbers. */
static void write_npy(const char* name, const char* type, const char* shape, const void* numbers,
                      size_t bytes) {
  char header[129];
  const int used = snprintf(header + 10, sizeof header - 10,
                            "{'descr': '%s', 'fortran_order': False, 'shape': %s, }", type, shape);
  memcpy(header, "\x93NUMPY\1\0\x76\0", 10);
  memset(header + 10 + used, ' ', (size_t)(128 - 10 - used));
  header[127] = '\n';
  FILE* const file = fopen(path_of(name), "wb");
  if (file == NULL || fwrite(header, 1, 128, file) != 128 ||
      fwrite(numbers, 1, bytes, file) != bytes || fclose(file) != 0) {
    exit(1);
  }
}

static void write_npy_files(void) {
  const int64_t labels[4] = {0, 1, 1, 0};
  write_npy("X.npy", "<f4", "(4, 3, 2)", matrix, 24 * sizeof(float));
  write_npy("y.npy", "<i8", "(4,)", labels, sizeof labels);
}

void prepare(void) {
  trial.scenario = "preparation";
  /* In memory where that can be, as a disk takes its time. */
  snprintf(folder, sizeof folder, "%s/lockstep-faults-XXXXXX",
           access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
  if (mkdtemp(folder) == NULL) exit(1);
  for (int i = 0; i < kSize * kSize; ++i) matrix[i] = (float)(i % 17) * 0.1f;
  write_npy_files();
  data = make_data();
  need(lockstep_options_create(&options));
  need(lockstep_options_set(options, "hidden", "6"));
  need(lockstep_options_set(options, "epochs", "2"));
  need(lockstep_options_set(options, "batch_size", "5"));
  need(lockstep_options_set(options, "threads", "1"));
  need(lockstep_model_create(data, options, &model));
  need(lockstep_model_train(model, data, NULL, NULL, NULL, NULL, NULL));
}

void clean_up(void) {
  static const char* const kLeft[] = {"model", "other", "kept", "X.npy", "y.npy"};
  for (int i = 0; i < 5; ++i) remove(path_of(kLeft[i]));
  CHECK(rmdir(folder) == 0);
  lockstep_model_free(model);
  lockstep_options_free(options);
  lockstep_dataset_free(data);
}
