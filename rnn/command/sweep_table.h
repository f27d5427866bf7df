#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "sweep_run.h"

namespace lockstep::command {

/// Mean and standard deviation (n - 1) of numbers; NaN where there are too few.
struct Spread {
  double mean = JobResult::kNone;
  double deviation = JobResult::kNone;
};
[[nodiscard]] Spread spread_of(const std::vector<double>& numbers);

/// The results of a point of the grid. Means are over the jobs that have ended well.
struct TableRow {
  std::size_t point = 0;  ///< of the grid
  std::size_t jobs = 0;   ///< that have a result
  std::size_t diverged = 0;
  std::size_t failed = 0;
  Spread measure;  ///< accuracy, of numbers the RMSE
  Spread mae;
  Spread r2;
  Spread loss;
  double seconds = JobResult::kNone;  ///< of a job, their mean
};

struct Table {
  bool has_numbers = false;    ///< the measure is the RMSE
  std::vector<TableRow> rows;  ///< the best first, those without a measure last
  std::string first_error{};   ///< of a job that failed, with what it was; "" if none did

  [[nodiscard]] std::size_t jobs() const;
  /// Jobs that have ended well.
  [[nodiscard]] std::size_t ended_well() const;
};

[[nodiscard]] Table make_table(const Sweep& sweep, const Results& results);

/// A job in words: "hidden 16, seed 1, fold 2".
[[nodiscard]] std::string job_text(const JobResult& result);
/// How it ended: "accuracy 0.9833", "diverged in epoch 3", "failed: ...".
[[nodiscard]] std::string outcome_text(const JobResult& result);

/// A heading that says what was measured on, then a row for each point with the settings that vary.
[[nodiscard]] std::string table_text(const Sweep& sweep, const Table& table,
                                     const std::string& data_name);
/// The same as a JSON object on a line of its own.
[[nodiscard]] std::string table_json(const Sweep& sweep, const Table& table,
                                     const std::string& results_file);

}  // namespace lockstep::command
