// Adam (Kingma and Ba 2015) and AdamW (Loshchilov and Hutter 2019), as PyTorch's without amsgrad:
//   g = scale * gradient, of Adam + decay * w;  of AdamW w = w - rate * decay * w
//   m = beta1 * m + (1 - beta1) * g;  v = beta2 * v + (1 - beta2) * g^2
//   w = w - rate / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon)
#include <cmath>

#include "optimizers/optimizer.h"

namespace lockstep {
namespace {

std::vector<std::string_view> slots(const Options&) { return {"exp_avg", "exp_avg_sq"}; }

// `kept`: what a step leaves of the weights. `decay`: of the weights in the gradient.
void update_with(const Update& u, double kept, double decay) {
  float* w = u.weights.data();
  const float* gradient = u.gradient;
  float* m = u.slots[0];
  float* v = u.slots[1];
  const auto scale = static_cast<float>(u.scale);
  const auto left = static_cast<float>(kept);
  const auto decay_of_gradient = static_cast<float>(decay);
  const auto beta1 = static_cast<float>(u.options.beta1);
  const auto beta2 = static_cast<float>(u.options.beta2);
  const auto other1 = static_cast<float>(1 - u.options.beta1);
  const auto other2 = static_cast<float>(1 - u.options.beta2);
  const auto step = static_cast<float>(u.rate / u.first_correction);
  const auto correction = static_cast<float>(1 / std::sqrt(u.second_correction));
  const auto epsilon = static_cast<float>(u.options.eps);
  for (std::size_t i = 0; i < u.weights.size(); ++i) {
    const float g = scale * gradient[i] + decay_of_gradient * w[i];
    m[i] = beta1 * m[i] + other1 * g;
    v[i] = beta2 * v[i] + other2 * (g * g);
    w[i] = left * w[i] - step * (m[i] / (std::sqrt(v[i]) * correction + epsilon));
  }
}

void update_adam(const Update& u) { update_with(u, 1, u.decay); }
void update_adamw(const Update& u) { update_with(u, 1 - u.rate * u.decay, 0); }

}  // namespace

const OptimizerRule kAdam{.name = "adam",
                          .rate = 0.005,
                          .clip_norm = 1,
                          .momentum = 0,
                          .decay = 0,
                          .slots = slots,
                          .update = update_adam};
const OptimizerRule kAdamW{.name = "adamw",
                           .rate = 0.005,
                           .clip_norm = 1,
                           .momentum = 0,
                           .decay = 0.01,
                           .slots = slots,
                           .update = update_adamw};

}  // namespace lockstep
