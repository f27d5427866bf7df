#pragma once

#include <string>
#include <utility>
#include <vector>

#include "lockstep/rnn/ranks.h"
#include "ranks/gather.h"

namespace lockstep::command {

/// The ranks of this process and others, or null: it works alone.
[[nodiscard]] Ranks* process_ranks();
/// Whether this is the command of MPI jobs, even if of a single rank.
[[nodiscard]] bool is_of_mpi();
/// Makes it the command of an MPI job.
void set_process_ranks(Ranks& ranks);
/// Throws UsageError if a path is "-": only one of several ranks has the standard input.
void require_no_standard_input(const std::string& path);

/// The signal that has been noted, on whichever rank, or 0. All ranks ask.
[[nodiscard]] int signal_of_any();

/// Whether this process is the one that prints and writes files.
[[nodiscard]] bool speaks();

/// Work whose failure on one rank ends the command on all. Returns what it returns.
template <class Work>
auto on_all_ranks(const Work& work) {
  std::vector<decltype(work())> result;
  const auto run = [&] { result.push_back(work()); };
  Ranks* const ranks = process_ranks();
  ranks == nullptr ? run() : together(*ranks, run);
  return std::move(result.front());
}

/// What a command has come to.
struct Outcome {
  int code = 0;                   ///< its exit code
  std::string sentence{};         ///< why it failed; empty if it did not, or has said so
  bool is_out_of_memory = false;  ///< in the place of a sentence, which takes memory
  bool is_reported = false;       ///< by another rank
};

/// Does what a command line asks for. Throws nothing.
[[nodiscard]] Outcome run_command(int argc, char** argv);

/// Prints the sentence of an outcome, as a program does before it ends.
void report(const Outcome& outcome);

}  // namespace lockstep::command
