// The `lockstep-mpi` command: `lockstep`, on all processes that mpirun or srun has started.
#include <algorithm>
#include <chrono>
#include <string>
#include <thread>

#include "lockstep/rnn/mpi.h"
#include "process.h"

namespace {

using lockstep::command::Outcome;

// A launcher that is asked to end the job may drop what it has not yet read of a rank's output.
constexpr std::chrono::milliseconds kUntilRead(300);

// Ranks that end together say one sentence, that of rank 0. Of those that others wait for the first
// one speaks, and ends the job.
int end(lockstep::mpi::Session& session, Outcome outcome) {
  const lockstep::Ranks& ranks = session.ranks();
  const int rank = ranks.rank();
  if (rank == 0) report(outcome);
  // Who has nothing to say waits for those that have.
  const bool has_news = !outcome.is_reported && (rank == 0 || !outcome.sentence.empty());
  const std::optional<int> code =
      has_news ? session.end(outcome.code) : session.end(outcome.code, ranks.timeout());
  if (code) return *code;
  if (rank > 0 && has_news) {
    std::this_thread::sleep_for(2 * kUntilRead * std::min(rank, 5));
    outcome.sentence = "rank " + std::to_string(rank) + ": " + outcome.sentence;
    report(outcome);
  }
  std::this_thread::sleep_for(kUntilRead);
  lockstep::mpi::Session::abort(outcome.code == 0 ? EXIT_FAILURE : outcome.code);
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
