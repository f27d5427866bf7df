#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "sweep_grid.h"

namespace lockstep::command {

/// What all results of a sweep have in common: those of another sweep do not compare.
struct SweepIdentity {
  std::string data_hash;    ///< of all sequences, targets and names
  std::string measured_on;  ///< "test", "folds", "validation" or "training"
  std::size_t folds = 0;
  std::string rounding;    ///< of the backend
  std::uint64_t bits = 0;  ///< kBitsVersion
  Options base{};          ///< Plan::base
};

/// How one job has ended. Numbers that there are not are NaN.
struct JobResult {
  static constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

  std::vector<Setting> settings;  ///< of its point of the grid
  std::uint64_t seed = 0;
  std::size_t fold = 0;  ///< 0: there are none
  std::string status;    ///< "finished", "patience", "diverged" or "failed"
  std::string error{};   ///< why it failed, one sentence
  std::size_t epochs = 0;
  std::size_t kept_epoch = 0;
  double accuracy = kNone;  ///< of what is measured on, as the four below
  double rmse = kNone;
  double mae = kNone;
  double r2 = kNone;
  double loss = kNone;
  double train_loss = kNone;
  double validation_loss = kNone;
  double seconds = 0;
  int threads = 1;
  std::string weights_hash{};  ///< "" if nothing was learnt

  /// Whether it counts in means.
  [[nodiscard]] bool has_ended_well() const { return status == "finished" || status == "patience"; }
};

/// The result as JSON text on a line of its own. Settings are numbers, truths or texts as they are
/// in a grid.
[[nodiscard]] std::string result_line(const SweepIdentity& sweep, const JobResult& result);

/// A setting as JSON text.
[[nodiscard]] std::string setting_json(const Setting& setting);
/// Any text as JSON text; '?' for what is not UTF-8.
[[nodiscard]] std::string any_text_json(std::string_view text);
/// null for what is not finite.
[[nodiscard]] std::string any_number_json(double number);

/// What distinguishes the jobs of a sweep: equal for the same options, seed and fold.
[[nodiscard]] std::string job_key(const Options& options, std::size_t fold);

/// Results of a sweep by job_key.
using Results = std::map<std::string, JobResult>;

/// The results in a file, none if there is no file; of two of one job the first. A last line that a
/// kill has torn is ignored. Throws std::runtime_error with the line that is no result, or with
/// what differs where they are of another sweep.
[[nodiscard]] Results read_results(const std::filesystem::path& path, const SweepIdentity& sweep);

/// A file of results that one process at a time adds lines to.
///
/// Threads: several may call `add` at a time.
class ResultsFile {
 public:
  /// Opens the file or makes it; what is left of a torn last line is cut off. Throws as
  /// read_results, and std::runtime_error if it cannot be written, is no regular file or is being
  /// written by another sweep.
  ResultsFile(std::filesystem::path path, SweepIdentity sweep);
  ~ResultsFile();
  ResultsFile(const ResultsFile&) = delete;
  ResultsFile& operator=(const ResultsFile&) = delete;

  /// What was in the file at first.
  [[nodiscard]] const Results& results() const { return results_; }
  /// Appends a line by one call of the system: a kill leaves whole lines and at most one that is
  /// torn, which the next sweep cuts off. Throws std::runtime_error.
  void add(const JobResult& result);

 private:
  std::filesystem::path path_;
  SweepIdentity sweep_;
  int descriptor_ = -1;
  Results results_;
  std::mutex mutex_;
};

}  // namespace lockstep::command
