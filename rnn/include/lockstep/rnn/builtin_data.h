#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lockstep/export.h"
#include "lockstep/rnn/dataset.h"

namespace lockstep {

/// A training and a test set made from published formulas and a seed; the same numbers everywhere.
struct TrainTest {
  Dataset train;  ///< to learn from
  Dataset test;   ///< drawn alike, to judge by
};

/// What can be said of a built-in set before it is made.
struct BuiltinInfo {
  std::string_view name;     ///< what make_builtin_dataset calls it
  std::string_view summary;  ///< one line: what it is, sizes, source
};

/// The built-in sets: synthetic-control, cylinder-bell-funnel, adding, parity, with a class for
/// each sequence; adding-sum and tones with numbers, echo with a class and mackey-glass with a
/// number for each timestep.
[[nodiscard]] LOCKSTEP_API const std::vector<BuiltinInfo>& builtin_datasets();

/// Makes a built-in set with its usual split sizes; the two parts come from `seed` alone. Throws
/// std::invalid_argument for an unknown name, with the list of the known ones. Thread-safe.
[[nodiscard]] LOCKSTEP_API TrainTest make_builtin_dataset(std::string_view name,
                                                          std::uint64_t seed);

}  // namespace lockstep
