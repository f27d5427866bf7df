#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "lockstep/export.h"

namespace lockstep {

/// How well probabilities match labels.
struct Evaluation {
  double accuracy = 0;                 ///< share of samples whose class was predicted
  double loss = 0;                     ///< mean cross-entropy in nats
  std::size_t samples = 0;             ///< how many there were
  std::vector<std::size_t> confusion;  ///< [C][C] row-major: row true class, column predicted class
  std::vector<double> precision;       ///< [C]; NaN where a class was never predicted
  std::vector<double> recall;          ///< [C]; NaN where a class does not occur
  std::vector<double> f1;              ///< [C]; NaN where precision and recall both are
};

/// `probabilities` is [labels.size()][classes] row-major; the predicted class is the first of the
/// largest. Throws std::invalid_argument for another number of probabilities, for a label outside
/// [0, classes), and for no classes or more than kMaxUnits (lockstep/rnn/model.h). Accuracy and
/// loss of no samples are NaN. A probability that float32 has rounded to 0 counts as the smallest
/// positive one, 2^-149, so that one sample adds at most 103.28 nats and the loss stays finite.
[[nodiscard]] LOCKSTEP_API Evaluation evaluate(std::span<const float> probabilities,
                                               std::span<const int> labels, std::size_t classes);

}  // namespace lockstep
