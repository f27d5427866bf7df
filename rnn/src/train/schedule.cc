#include "train/schedule.h"

#include <algorithm>

#include "lockstep/portable_math.h"

namespace lockstep {

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
