/// @file
/// lockstep::mpi: one training on several processes and machines, over MPI.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "lockstep/export.h"
#include "lockstep/rnn/ranks.h"

/// What needs MPI.
namespace lockstep::mpi {

/// All processes of an MPI job as the ranks of a training. No header of MPI is needed to use it:
///
///     lockstep::mpi::Session session;
///     lockstep::Model model(data, options);
///     model.set_ranks(&session.ranks());
///     model.fit(data);
///
/// It initializes MPI unless the program has, and then finalizes it, too, when it ends; its
/// messages are in a communicator of their own. MPI only moves bytes, so neither its implementation
/// nor the way that it takes shows in a result. A rank that waits for another longer than
/// Ranks::timeout throws RanksError with its number and host; so it does if MPI reports an error.
///
/// Threads: ranks of one host that may all run on all of its CPUs share them out, by
/// set_default_threads, unless OMP_NUM_THREADS is set. Whoever made the session uses the ranks.
/// While a model fits, a thread of Lockstep's own may call MPI, never beside another of its calls,
/// where MPI allows that: a program that initializes MPI itself asks for MPI_THREAD_SERIALIZED, or
/// for MPI_THREAD_MULTIPLE if it calls MPI meanwhile, or for MPI_THREAD_FUNNELED if no thread may.
class LOCKSTEP_API Session {
 public:
  /// Throws RanksError if MPI cannot be initialized, does not let the thread that initialized it
  /// have threads beside it (MPI_THREAD_FUNNELED), or has found this process alone in a job of
  /// several: the launcher is that of another MPI.
  Session();
  /// As `end` if nobody has called that, with 1 while an exception is on its way; if a rank is not
  /// ready, as `abort`. So exceptions are to be caught, and printed, while the session lives.
  ~Session();
  Session(const Session&) = delete;             ///< There is one.
  Session& operator=(const Session&) = delete;  ///< There is one.

  /// The ranks of the job.
  [[nodiscard]] Ranks& ranks();

  /// Says with which exit code this rank ends, and waits until all have said so: at most
  /// `seconds` (0: for ever), by default for Ranks::timeout, or for 2 if the code is not 0. Returns
  /// that with which the process is to end, of rank 0 if it is not 0, otherwise its own; or nothing
  /// if some rank is not ready: then the job can only be aborted. Ranks are of no more use
  /// afterwards.
  [[nodiscard]] std::optional<int> end(int code, double seconds = -1);

  /// Ends the processes of all ranks at once, this one with `code`.
  [[noreturn]] static void abort(int code);

  /// The MPI that this library was built with, as it calls itself.
  [[nodiscard]] static std::string library();

 private:
  struct LOCKSTEP_HIDDEN State;
  std::unique_ptr<State> state_;
};

}  // namespace lockstep::mpi
