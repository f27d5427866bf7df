/* The C functions while memory runs out and while files cannot be read or written: every failure is
   a status with a sentence, nothing is lost or leaks, and handles serve on. */
#include <errno.h>
#include <stdlib.h>

#include "scenarios.h"

/* Tries number 1, 2, ... until none is hit. Gives how many were. */
static long sweep(const struct scenario* s, enum fault_call call, int how) {
  const int survives = how == EINTR || how == FAULT_SHORT;
  const lockstep_status expected =
      call == FAULT_MALLOC ? LOCKSTEP_OUT_OF_MEMORY : LOCKSTEP_FILE_ERROR;
  long injected = 0;
  trial.scenario = s->name;
  trial.call = FAULT_NONE;
  const uint64_t whole = s->run();
  trial.call = call;
  trial.how = how;
  for (trial.number = 1;; ++trial.number) {
    const long blocks = fault_live_blocks();
    const uint64_t made = s->run();
    CHECK(fault_live_blocks() == blocks);
    CHECK(trial.status == LOCKSTEP_OK || (trial.hits > 0 && !survives && trial.status == expected));
    if (trial.status == LOCKSTEP_OK) CHECK(made == whole);
    if (trial.hits == 0) break;
    injected += trial.hits > 1 ? 1 : trial.hits;
    if (trial.failures > 20) exit(1);
  }
  trial.call = FAULT_NONE;
  return injected;
}

/* As sweep, for what is done once in a process and so only the first time. */
static void sweep_cold(const struct scenario* s) {
  trial.scenario = s->name;
  trial.call = FAULT_MALLOC;
  trial.how = ENOMEM;
  for (trial.number = 1;; ++trial.number) {
    s->run();
    CHECK(trial.status == LOCKSTEP_OK || trial.status == LOCKSTEP_OUT_OF_MEMORY);
    if (trial.hits == 0) break;
  }
  trial.call = FAULT_NONE;
}

int main(int count, char** arguments) {
  if (count != 2) return 2;
  trial.test_data = arguments[1];
  for (int i = 0; i < kColdScenarios; ++i) sweep_cold(&kScenarios[i]);
  prepare();
  long memory = 0;
  long files = 0;
  static const int kErrors[] = {EIO, ENOSPC, EINTR, FAULT_SHORT};
  for (int i = 0; i < kScenarioCount; ++i) {
    memory += sweep(&kScenarios[i], FAULT_MALLOC, ENOMEM);
    memory += sweep(&kScenarios[i], FAULT_MALLOC, FAULT_FROM_THEN_ON);
    if (!kScenarios[i].uses_files) continue;
    for (int call = FAULT_WRITE; call < FAULT_MALLOC; ++call) {
      for (size_t e = 0; e < sizeof kErrors / sizeof *kErrors; ++e) {
        const int is_name = call == FAULT_RENAME || call == FAULT_LINK;
        const int is_transfer = call == FAULT_WRITE || call == FAULT_READ;
        /* Names are not given in part, and no signal ends that. */
        if ((is_name && kErrors[e] == EINTR) || (kErrors[e] == FAULT_SHORT && !is_transfer)) {
          continue;
        }
        files += sweep(&kScenarios[i], (enum fault_call)call, kErrors[e]);
      }
    }
  }
  clean_up();
  printf("%ld faults of memory, %ld of files, %d failures\n", memory, files, trial.failures);
  return trial.failures != 0;
}
