// The `lockstep` command. Exit codes: see its help.
#include "process.h"

int main(int argc, char** argv) {
  const lockstep::command::Outcome outcome = lockstep::command::run_command(argc, argv);
  lockstep::command::report(outcome);
  return outcome.code;
}
