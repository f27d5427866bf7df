// Gradient descent with momentum, as PyTorch's SGD without dampening:
//   g = scale * gradient + decay * w;  v = momentum * v + g
//   w = w - rate * v, by Nesterov w - rate * (g + momentum * v)
#include "optimizers/optimizer.h"

namespace lockstep {
namespace {

std::vector<std::string_view> slots(const Options& options) {
  if (momentum_of(options) == 0) return {};
  return {"momentum_buffer"};
}

// One multiplication for each weight.
void descend(const Update& u) {
  float* w = u.weights.data();
  const auto step = static_cast<float>(u.rate * u.scale);
  for (std::size_t i = 0; i < u.weights.size(); ++i) w[i] -= step * u.gradient[i];
}

template <bool kDecays, bool kNesterov>
void update_as(const Update& u) {
  float* w = u.weights.data();
  const float* gradient = u.gradient;
  float* v = u.slots[0];
  const auto momentum = static_cast<float>(momentum_of(u.options));
  const auto scale = static_cast<float>(u.scale);
  const auto decay = static_cast<float>(u.decay);
  const auto rate = static_cast<float>(u.rate);
  for (std::size_t i = 0; i < u.weights.size(); ++i) {
    float g = scale * gradient[i];
    if (kDecays) g += decay * w[i];
    float step = g;
    if (v != nullptr) {
      v[i] = momentum * v[i] + g;
      step = kNesterov ? g + momentum * v[i] : v[i];
    }
    w[i] -= rate * step;
  }
}

void update(const Update& u) {
  const bool decays = u.decay != 0;
  if (u.slots[0] == nullptr && !decays) return descend(u);
  if (u.options.nesterov) return decays ? update_as<true, true>(u) : update_as<false, true>(u);
  return decays ? update_as<true, false>(u) : update_as<false, false>(u);
}

}  // namespace

const OptimizerRule kSgd{.name = "sgd",
                         .rate = 0.05,
                         .clip_norm = 0.25,
                         .momentum = 0.8,
                         .decay = 0,
                         .slots = slots,
                         .update = update};

}  // namespace lockstep
