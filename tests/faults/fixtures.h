/* What the scenarios find and look at. */
#ifndef LOCKSTEP_FAULTS_FIXTURES_H
#define LOCKSTEP_FAULTS_FIXTURES_H

#include <stddef.h>

#include "scenarios.h"

enum { kSequences = 12, kSize = 120 };
extern lockstep_dataset* data; /* kSequences of them */
extern lockstep_options* options;
extern lockstep_model* model; /* trained on data */
extern float matrix[kSize * kSize];

/* Ends the program unless a call has worked that no fault was meant for. */
void need(lockstep_status status);

/* The path of a file in the folder of the program, or in tests/data, until the next call. */
const char* path_of(const char* name);
const char* data_of(const char* name);

/* FNV-1a of bytes, of a file in the folder (0 if there is none), of weights. */
uint64_t hash_of(const void* bytes, size_t size);
uint64_t file_hash(const char* name);
uint64_t weights_of(const lockstep_model* of);

/* In the folder. */
int count_files(void);
/* The same as `data`. */
lockstep_dataset* make_data(void);

#endif
