#pragma once

#include <vector>

#include "lockstep/rnn/model.h"
#include "lockstep/rnn/trainer.h"
#include "lockstep/threads.h"

namespace lockstep {

// Gradient descent with momentum, as PyTorch's SGD without dampening:
//   v = momentum * v + scale * g;  w = w - rate * v
class Optimizer {
 public:
  Optimizer(const RnnShape& shape, double momentum);

  // Updates this thread's share of the weights.
  void update(RnnParameters& parameters, const RnnParameters& gradient, double scale, double rate,
              const Team& team);

 private:
  float momentum_;
  RnnParameters velocity_;  // empty without momentum
};

// The factor that turns the gradient of a summed loss over `samples` into that of the mean, scaled
// down where its norm would exceed clip_norm (0: never).
double gradient_scale(double summed_norm, std::size_t samples, double clip_norm);

// Learning rate of an epoch counted from 0.
double scheduled_rate(const Options& options, std::size_t epoch);

}  // namespace lockstep
