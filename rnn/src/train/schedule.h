// How far an update goes along the gradient.
#pragma once

#include <cstddef>

#include "lockstep/rnn/options.h"

namespace lockstep {

// An update of a training: its epoch, and its number in it, of `updates`; all counted from 0.
struct UpdatePlace {
  std::size_t epoch;
  std::size_t update = 0;
  std::size_t updates = 1;
};

// The learning rate of an update, without what Plateau says.
[[nodiscard]] double scheduled_rate(const Options& options, const UpdatePlace& at);

// The factor of LearningRateSchedule::plateau, as PyTorch's ReduceLROnPlateau has it.
class Plateau {
 public:
  explicit Plateau(const Options& options) : options_(options) {}

  [[nodiscard]] double factor() const { return factor_; }
  // The loss after an epoch.
  void note(double loss);

 private:
  Options options_;
  double best_ = 0;
  std::size_t noted_ = 0;
  std::size_t since_best_ = 0;  // epochs
  double factor_ = 1;
};

// The factor that turns the gradient of a summed loss into that of the mean over `total` (sequences
// or their weights), scaled down where its norm would exceed clip_norm (0: never).
[[nodiscard]] double gradient_scale(double summed_norm, double total, double clip_norm);

}  // namespace lockstep
