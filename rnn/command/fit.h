#pragma once

#include <functional>
#include <vector>

#include "interrupt.h"
#include "lockstep/rnn/dataset.h"
#include "lockstep/rnn/metrics.h"
#include "lockstep/rnn/predict.h"
#include "lockstep/rnn/trainer.h"
#include "train_options.h"

namespace lockstep::command {

/// Who watches a training; either may be empty.
struct FitObserver {
  std::function<void(const BatchProgress&)> on_batch;
  std::function<void(const EpochResult&)> on_epoch;
};

struct FitResult {
  std::vector<EpochResult> history;  ///< the last entry is of part of an epoch if interrupted
  std::size_t kept_epoch = 0;        ///< the epoch whose weights were kept
  int threads = 1;
  int signal = 0;  ///< the signal that interrupted it, or 0

  [[nodiscard]] double seconds() const;
  [[nodiscard]] double timesteps_per_second() const;
};

/// Trains until the epochs are done, the validation loss stops to improve (`validation` may be
/// empty), or `interrupt` has noted a signal. Both sets are normalized and labelled. Throws
/// std::runtime_error if the loss or a weight becomes NaN or infinite.
[[nodiscard]] FitResult fit(Parameters& parameters, const Dataset& train, const Dataset& validation,
                            const TrainCommand& command, const FitObserver& observer,
                            const InterruptHandler& interrupt);

/// Evaluates normalized and labelled data.
[[nodiscard]] Evaluation evaluate_on(const Parameters& parameters, const Dataset& data,
                                     int threads);

}  // namespace lockstep::command
