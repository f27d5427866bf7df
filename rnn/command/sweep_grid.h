#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "commands.h"

namespace lockstep::command {

/// An option and its value, both as Options::get has them.
struct Setting {
  std::string option;
  std::string value;
  bool operator==(const Setting&) const = default;
};

/// One choice of settings, and all options with them.
struct GridPoint {
  std::vector<Setting> settings;  ///< in the order of options_table()
  Options options;
};

/// One training of a sweep.
struct Job {
  std::size_t point = 0;   ///< of the grid
  std::uint64_t seed = 0;  ///< Options::seed
  std::size_t fold = 0;    ///< to measure on, counted from 1; 0: there are none
};

/// What a sweep is to do: each point of the grid with each seed on each fold.
struct Plan {
  Options base;                   ///< of the command line
  std::vector<GridPoint> points;  ///< without a grid one without settings
  std::vector<std::uint64_t> seeds;
  std::size_t folds = 0;  ///< 0: none
  std::vector<Job> jobs;  ///< point after point, seed after seed

  [[nodiscard]] Options options_of(const Job& job) const;
  /// The options that a point of the grid sets, in the order of options_table().
  [[nodiscard]] std::vector<std::string> grid_options() const;
};

/// The points of a grid: JSON text {"option": [values...], ...} means all combinations, a list of
/// such objects the points of all of them. `name` is what messages call
/// the file. Throws std::runtime_error for what is no JSON, UsageError for what is no grid.
[[nodiscard]] std::vector<std::vector<Setting>> parse_grid(std::string_view json,
                                                           const std::string& name);

/// "3": this number of seeds from `first` on; "1,2,5": these. Throws UsageError.
[[nodiscard]] std::vector<std::uint64_t> parse_seeds(const std::string& text, std::uint64_t first);

/// Reads the grid, if there is one; points with the same options are one. Throws as parse_grid, and
/// UsageError for options that have no effect at any point.
[[nodiscard]] Plan make_plan(const SweepCommand& command);

}  // namespace lockstep::command
