// RMSprop (Tieleman and Hinton 2012), as PyTorch's:
//   g = scale * gradient + decay * w;  v = alpha * v + (1 - alpha) * g^2
//   centred: a = alpha * a + (1 - alpha) * g, and v - a^2 in the place of v below
//   b = momentum * b + g / (sqrt(v) + epsilon);  w = w - rate * b
#include <algorithm>
#include <cmath>

#include "optimizers/optimizer.h"

namespace lockstep {
namespace {

std::vector<std::string_view> slots(const Options& options) {
  std::vector<std::string_view> names{"square_avg"};
  if (momentum_of(options) > 0) names.emplace_back("momentum_buffer");
  if (options.centered) names.emplace_back("grad_avg");
  return names;
}

// Without momentum `buffer`, and not centred `mean`, are null.
template <bool kHasMomentum, bool kCentered>
void update_as(const Update& u) {
  float* w = u.weights.data();
  const float* gradient = u.gradient;
  float* v = u.slots[0];
  float* buffer = kHasMomentum ? u.slots[1] : nullptr;
  float* mean = kCentered ? u.slots[kHasMomentum ? 2 : 1] : nullptr;
  const auto scale = static_cast<float>(u.scale);
  const auto decay = static_cast<float>(u.decay);
  const auto alpha = static_cast<float>(u.options.alpha);
  const auto other = static_cast<float>(1 - u.options.alpha);
  const auto momentum = static_cast<float>(momentum_of(u.options));
  const auto rate = static_cast<float>(u.rate);
  const auto epsilon = static_cast<float>(u.options.eps);
  for (std::size_t i = 0; i < u.weights.size(); ++i) {
    const float g = scale * gradient[i] + decay * w[i];
    v[i] = alpha * v[i] + other * (g * g);
    if constexpr (kCentered) mean[i] = alpha * mean[i] + other * g;
    // Rounded, it can be below 0.
    const float variance = kCentered ? std::max(0.0f, v[i] - mean[i] * mean[i]) : v[i];
    const float step = g / (std::sqrt(variance) + epsilon);
    if constexpr (kHasMomentum) buffer[i] = momentum * buffer[i] + step;
    w[i] -= rate * (kHasMomentum ? buffer[i] : step);
  }
}

void update(const Update& u) {
  const bool centered = u.options.centered;
  if (momentum_of(u.options) > 0) {
    return centered ? update_as<true, true>(u) : update_as<true, false>(u);
  }
  return centered ? update_as<false, true>(u) : update_as<false, false>(u);
}

}  // namespace

const OptimizerRule kRmsProp{.name = "rmsprop",
                             .rate = 0.01,
                             .clip_norm = 1,
                             .momentum = 0,
                             .decay = 0,
                             .slots = slots,
                             .update = update};

}  // namespace lockstep
