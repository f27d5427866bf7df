// The `lockstep-mpi` command: `lockstep`, on all processes that mpirun or srun has started.
#include <algorithm>
#include <chrono>
#include <string>
#include <thread>

#include "lockstep/rnn/mpi.h"
#include "process.h"

namespace {

using lockstep::command::Outcome;

// Ranks that end together say one sentence, that of rank 0. Of those that others wait for the first
// one speaks, and ends the job.
int end(lockstep::mpi::Session& session, Outcome outcome) {
  const int rank = session.ranks().rank();
  if (rank == 0) report(outcome);
  const bool all_have_ended = session.end(outcome.code).has_value();
  if (all_have_ended) return outcome.code;
  if (rank > 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(200 * std::min(rank, 5)));
    outcome.sentence = "rank " + std::to_string(rank) + ": " + outcome.sentence;
    report(outcome);
  }
  session.abort(outcome.code == 0 ? EXIT_FAILURE : outcome.code);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    lockstep::mpi::Session session;
    lockstep::command::set_process_ranks(session.ranks());
    return end(session, lockstep::command::run_command(argc, argv));
  } catch (const lockstep::RanksError& error) {
    report(Outcome{.code = EXIT_FAILURE, .sentence = error.what()});
    return EXIT_FAILURE;
  }
}
