#pragma once

#include <cstddef>
#include <vector>

#include "lockstep/export.h"

namespace lockstep {

class Dataset;

/// What a model does about values that are missing (NaN) within sequences.
enum class MissingKind {
  fail,   ///< nothing: such data are refused
  carry,  ///< the last value of the channel before, where there is none the next behind
  mean,   ///< the mean of the channel over the training set
  mask,   ///< as carry, and a further channel for each that had gaps in the training: 1 in them, or
          ///< 0
};

/// How missing values are filled before anything else is done with them. It belongs to the model:
/// prediction must see the same numbers as training.
struct LOCKSTEP_API MissingRule {
  MissingKind kind = MissingKind::fail;  ///< which of them
  /// [channels], of the training set; what a channel has of which a sequence knows nothing. Empty
  /// of MissingKind::fail.
  std::vector<float> mean;
  std::vector<std::size_t> masked;  ///< of MissingKind::mask, the channels that had gaps

  /// The rule for data like these.
  [[nodiscard]] static MissingRule fit(MissingKind kind, const Dataset& data);
  /// The data without gaps, with the channels of `masked` behind theirs. Throws InvalidArgument for
  /// a gap that is to be refused, for an infinite value, and for other channels than in the fit.
  [[nodiscard]] Dataset apply(Dataset data) const;
  /// Whether all parts are equal.
  bool operator==(const MissingRule&) const = default;
};

}  // namespace lockstep
