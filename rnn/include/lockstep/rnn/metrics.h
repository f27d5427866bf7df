#pragma once

#include <cstddef>
#include <limits>
#include <span>
#include <vector>

#include "lockstep/export.h"
#include "lockstep/rnn/dataset.h"
#include "lockstep/rnn/network.h"
#include "lockstep/rnn/options.h"

namespace lockstep {

/// How many samples of one class were predicted to be of one.
struct ConfusionCount {
  std::size_t actual;                                      ///< the true class
  std::size_t predicted;                                   ///< the class that was predicted
  std::size_t count;                                       ///< of samples, at least 1
  bool operator==(const ConfusionCount&) const = default;  ///< of all three
};

/// How well predictions match targets. What a head has not is NaN or empty.
struct Evaluation {
  /// Share of samples whose class was predicted; of head multilabel, share of its labels.
  double accuracy = 0;
  double loss = 0;          ///< mean over all samples; of classes cross-entropy in nats
  std::size_t samples = 0;  ///< sequences or timesteps with a target that is known
  double balanced_accuracy = std::numeric_limits<double>::quiet_NaN();  ///< mean recall
  double macro_f1 = std::numeric_limits<double>::quiet_NaN();           ///< mean of f1
  double rmse = std::numeric_limits<double>::quiet_NaN();  ///< of values, root mean square error
  double mae = std::numeric_limits<double>::quiet_NaN();   ///< of values, mean absolute error
  /// Of values, 1 - sum of squared errors / sum of squares around the mean, the mean over the
  /// outputs that are not constant.
  double r2 = std::numeric_limits<double>::quiet_NaN();
  /// The confusion matrix without its zeros, by actual and then by predicted class; empty of head
  /// multilabel. There are at most as many as samples, however many classes there are.
  std::vector<ConfusionCount> confusion;
  std::vector<double> precision;     ///< [C], or of each label; NaN where it was never predicted
  std::vector<double> recall;        ///< [C]; NaN where it does not occur
  std::vector<double> f1;            ///< [C]; NaN where precision and recall both are
  std::vector<std::size_t> support;  ///< [C]; how many samples are of it
};

/// `probabilities` is [labels.size()][classes] row-major; the predicted class is the first of the
/// largest. Throws std::invalid_argument for another number of probabilities, for a label outside
/// [0, classes), and for no classes or more than kMaxUnits (lockstep/rnn/model.h). Accuracy and
/// loss of no samples are NaN. A probability that float32 has rounded to 0 counts as the smallest
/// positive one, 2^-149, so that one sample adds at most 103.28 nats and the loss stays finite.
[[nodiscard]] LOCKSTEP_API Evaluation evaluate(std::span<const float> probabilities,
                                               std::span<const int> labels, std::size_t classes);

/// The same of what a network predicts for `data`, as predict_proba gives it, by its head; targets
/// that are not known are left out. A probability of head multilabel counts as at least 2^-30, and
/// as at most 1 - 2^-30. The loss of numbers is that of `options`; weights and label smoothing do
/// not count. Throws std::invalid_argument if data or predictions do not fit.
[[nodiscard]] LOCKSTEP_API Evaluation evaluate(const Network& network,
                                               std::span<const float> predictions,
                                               const Dataset& data, const Options& options = {});

}  // namespace lockstep
