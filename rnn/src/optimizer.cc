#include "optimizer.h"

#include <algorithm>

#include "lockstep/portable_math.h"

namespace lockstep {

Optimizer::Optimizer(const RnnShape& shape, double momentum)
    : momentum_(static_cast<float>(momentum)) {
  if (momentum != 0) velocity_ = RnnParameters(shape);
}

void Optimizer::update(RnnParameters& parameters, const RnnParameters& gradient, double scale,
                       double rate, const Team& team) {
  const auto update_share = [&](std::vector<float>& weights, const std::vector<float>& gradients,
                                std::vector<float>& velocities) {
    const Range mine = share(weights.size(), team.index(), team.size());
    float* w = weights.data();
    const float* g = gradients.data();
    if (velocities.empty()) {
      const auto step = static_cast<float>(rate * scale);
      for (std::size_t i = mine.begin; i < mine.end; ++i) w[i] -= step * g[i];
      return;
    }
    float* v = velocities.data();
    const auto s = static_cast<float>(scale);
    const auto r = static_cast<float>(rate);
    for (std::size_t i = mine.begin; i < mine.end; ++i) {
      v[i] = momentum_ * v[i] + s * g[i];
      w[i] -= r * v[i];
    }
  };
  update_share(parameters.recurrent, gradient.recurrent, velocity_.recurrent);
  update_share(parameters.output, gradient.output, velocity_.output);
}

double gradient_scale(double summed_norm, std::size_t samples, double clip_norm) {
  const double mean = 1 / static_cast<double>(samples);
  const double norm = summed_norm * mean;
  return clip_norm > 0 && norm > clip_norm ? mean * (clip_norm / norm) : mean;
}

double scheduled_rate(const Options& options, std::size_t epoch) {
  constexpr double kPi = 3.141592653589793;
  double rate = options.learning_rate;
  switch (options.schedule) {
    case LearningRateSchedule::constant:
      break;
    case LearningRateSchedule::step:
      for (std::size_t i = options.decay_epochs; i <= epoch; i += options.decay_epochs) {
        rate *= options.decay;
      }
      break;
    case LearningRateSchedule::cosine: {
      const auto last = static_cast<double>(std::max<std::size_t>(1, options.epochs));
      const double done = std::min(1.0, static_cast<double>(epoch) / last);
      rate *= (1 + portable_cos(kPi * done)) / 2;
      break;
    }
  }
  return rate;
}

}  // namespace lockstep
