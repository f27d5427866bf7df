#pragma once

#include <span>
#include <vector>

#include "lockstep/export.h"

namespace lockstep {

class Dataset;

/// How inputs are standardised.
enum class NormalizationKind {
  none,     ///< not at all
  channel,  ///< subtract each channel's mean, divide by its deviation, over the training set
  series,   ///< the same for each channel of each sequence on its own
};

/// How inputs are standardised before they reach the network. It belongs to the model: prediction
/// must see the same numbers as training.
struct LOCKSTEP_API Normalization {
  NormalizationKind kind = NormalizationKind::none;  ///< which of the three
  std::vector<float> mean;                           ///< [D], `channel` only
  std::vector<float>
      scale;  ///< [D], `channel` only: 1 / standard deviation, 1 for a constant channel

  /// The normalization of the given kind, fitted to `data` (population standard deviation).
  /// Throws std::invalid_argument for `channel` and an empty set.
  static Normalization fit(NormalizationKind kind, const Dataset& data);
  /// Applies it to every sequence of `data` in place. Throws std::invalid_argument if the number of
  /// channels differs from that of the fit, or that of `mean` from that of `scale`.
  void apply(Dataset& data) const;
  /// Applies it to timesteps [steps][D] in place, any part of a sequence: the numbers that the
  /// sequence as a whole would have. Throws std::invalid_argument if that is impossible, as it is
  /// for `series`, and if there are no whole timesteps, or `mean` and `scale` differ in number.
  void apply(std::span<float> timesteps) const;

  /// Whether kind and all numbers are equal.
  bool operator==(const Normalization&) const = default;
};

/// How the numbers that a model learns are standardised: (target - mean) / scale. Empty: not.
struct LOCKSTEP_API TargetScale {
  std::vector<float> mean;   ///< [outputs]
  std::vector<float> scale;  ///< [outputs], > 0

  /// Mean and standard deviation of the known targets of each output; 1 for a deviation of 0.
  [[nodiscard]] static TargetScale fit(const Dataset& data);
  /// Standardises the targets of `data`.
  void apply(Dataset& data) const;
  /// Back to the units of the data: `outputs` is [rows][outputs].
  void restore(std::span<float> outputs) const;
  /// Whether all parts are equal.
  bool operator==(const TargetScale&) const = default;
};

}  // namespace lockstep
