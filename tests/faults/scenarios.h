/* Calls of the C functions, each of which can be tried under a fault of shim.h. */
#ifndef LOCKSTEP_FAULTS_SCENARIOS_H
#define LOCKSTEP_FAULTS_SCENARIOS_H

#include <stdint.h>
#include <stdio.h>

#include "lockstep/lockstep.h"
#include "shim.h"

/* Makes one call under the fault of `trial`, checks what it left and gives a hash of what it made,
   which means something where its status is LOCKSTEP_OK. */
struct scenario {
  const char* name;
  uint64_t (*run)(void);
  int uses_files;
};

/* The first few need nothing that `prepare` makes. */
enum { kColdScenarios = 6 };
extern const struct scenario kScenarios[];
extern const int kScenarioCount;

struct trial {
  const char* test_data; /* the folder tests/data */
  const char* scenario;
  enum fault_call call;
  long number;
  int how;
  long hits;              /* calls that failed */
  lockstep_status status; /* of the call of the scenario */
  int failures;           /* of CHECK */
};
extern struct trial trial;

#define CHECK(condition)                                                                   \
  do {                                                                                     \
    if (!(condition)) {                                                                    \
      ++trial.failures;                                                                    \
      fprintf(stderr, "%s: call %d, number %ld, how %d: %s:%d: %s (%s)\n", trial.scenario, \
              (int)trial.call, trial.number, trial.how, __FILE__, __LINE__, #condition,    \
              lockstep_last_error());                                                      \
    }                                                                                      \
  } while (0)

/* Makes a folder, data and a model. */
void prepare(void);
void clean_up(void);

#endif
