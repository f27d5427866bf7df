#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lockstep/rnn/dataset.h"
#include "lockstep/rnn/trainer.h"
#include "sweep_grid.h"
#include "sweep_results.h"

namespace lockstep::command {

/// All that the jobs of a sweep share. They only read it.
struct Sweep {
  Plan plan;
  Dataset train;
  std::optional<Dataset> test;         ///< none where there are folds
  std::vector<ValidationSplit> folds;  ///< each held out of the others
  SweepIdentity identity;
};

/// K parts of nearly one size, and as far as sequences have one class, of each class nearly as many
/// in each: for each part the data without it, and the part. Drawn by the seed alone. Throws
/// UsageError for fewer sequences than parts.
[[nodiscard]] std::vector<ValidationSplit> make_folds(const Dataset& data, std::size_t count,
                                                      std::uint64_t seed);

/// Throws UsageError where the jobs would not all be measured on the same part.
[[nodiscard]] Sweep make_sweep(Plan plan, Dataset train, std::optional<Dataset> test);

/// What a job is trained on, how, and what it gives; nothing if it was interrupted. What goes wrong
/// is a result, but for want of memory or threads, which is thrown.
[[nodiscard]] std::optional<JobResult> run_job(const Sweep& sweep, const Job& job, int threads,
                                               const IsInterrupted& is_interrupted);

/// One process of several that share a sweep: it runs the jobs i with i % size == rank.
struct Share {
  int rank = 0;
  int size = 1;
};

/// How a process works.
struct Work {
  Share share{};
  int at_a_time = 1;  ///< jobs
  int threads = 1;    ///< of each job
  IsInterrupted is_interrupted{};
  /// After each job, one call at a time.
  std::function<void(const Job&, const JobResult&)> on_result{};
};

// A sweep has three steps, each of which begins when all processes have ended the one before:
// rank 0 gathers results that are left over, each process runs its jobs, rank 0 gathers again.

/// The file that a process writes: `path`, and of a rank above 0 `path`.rankN.
[[nodiscard]] std::filesystem::path results_path(const std::filesystem::path& path,
                                                 const Share& share);

/// Moves the results of all files `path`.rankN into `path`, and returns all that are there. Throws
/// as ResultsFile.
Results gather_results(const std::filesystem::path& path, const SweepIdentity& sweep);

/// The jobs of the share, by index, that are not in `done`.
[[nodiscard]] std::vector<std::size_t> jobs_left(const Sweep& sweep, const Share& share,
                                                 const Results& done);

/// Runs the jobs that `path` has no result of. The results do not depend on the share and on
/// `at_a_time`. Throws as ResultsFile, and what ended a job without a result; the results of the
/// other jobs that had ended are kept.
void run_share(const Sweep& sweep, const std::filesystem::path& path, const Work& work);

}  // namespace lockstep::command
