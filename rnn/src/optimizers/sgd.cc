// Gradient descent with momentum, as PyTorch's SGD without dampening:
//   v = momentum * v + scale * g;  w = w - rate * v
#include "optimizers/optimizer.h"

namespace lockstep {
namespace {

std::size_t slots(const Options& options) { return options.momentum == 0 ? 0 : 1; }

void update(const Update& u) {
  float* w = u.weights.data();
  const float* g = u.gradient.data();
  const std::size_t n = u.weights.size();
  if (u.slots.empty()) {
    const auto step = static_cast<float>(u.rate * u.scale);
    for (std::size_t i = 0; i < n; ++i) w[i] -= step * g[i];
    return;
  }
  float* v = u.slots.data();
  const auto momentum = static_cast<float>(u.options.momentum);
  const auto scale = static_cast<float>(u.scale);
  const auto rate = static_cast<float>(u.rate);
  for (std::size_t i = 0; i < n; ++i) {
    v[i] = momentum * v[i] + scale * g[i];
    w[i] -= rate * v[i];
  }
}

}  // namespace

const OptimizerRule kSgd{.name = "sgd", .slots = slots, .update = update};

}  // namespace lockstep
