#include <algorithm>

#include "lockstep/portable_math.h"
#include "lookup.h"
#include "optimizers/optimizer.h"

namespace lockstep {

Optimizer::Optimizer(std::size_t weights, const Options& options)
    : rule_(find_named(kOptimizers, options.optimizer, "optimizer")),
      options_(options),
      slots_per_weight_(rule_.slots(options)),
      slots_(weights * slots_per_weight_) {}

void Optimizer::update(std::span<float> weights, std::span<const float> gradient, double scale,
                       double rate, const Team& team) {
  const Range mine = share(weights.size(), team.index(), team.size());
  rule_.update(
      {weights.subspan(mine.begin, mine.size()), gradient.subspan(mine.begin, mine.size()),
       std::span(slots_).subspan(mine.begin * slots_per_weight_, mine.size() * slots_per_weight_),
       scale, rate, options_});
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

double gradient_scale(double summed_norm, std::size_t samples, double clip_norm) {
  const double mean = 1 / static_cast<double>(samples);
  const double norm = summed_norm * mean;
  return clip_norm > 0 && norm > clip_norm ? mean * (clip_norm / norm) : mean;
}

}  // namespace lockstep
