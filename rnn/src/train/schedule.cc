#include "train/schedule.h"

#include <algorithm>
#include <cmath>

#include "lockstep/portable_math.h"
#include "optimizers/optimizer.h"

namespace lockstep {
namespace {

constexpr double kPi = 3.141592653589793;

// From 1 to 0 along half a cosine.
double half_cosine(double done) { return (1 + portable_cos(kPi * std::clamp(done, 0.0, 1.0))) / 2; }

// The share of the rate at update `number` of `updates`, as PyTorch's OneCycleLR by its defaults:
// from 1/25 of the rate up to it in 0.3 of the updates, then down to 1/250000.
double one_cycle(double number, double updates) {
  constexpr double kFirst = 1.0 / 25;
  constexpr double kLast = kFirst / 1e4;
  const double top = std::max(0.0, 0.3 * updates - 1);
  if (number < top) return 1 - (1 - kFirst) * half_cosine(number / top);
  return kLast + (1 - kLast) * half_cosine((number - top) / std::max(1.0, updates - 1 - top));
}

// Updates before this one.
double number_of(const UpdatePlace& at) {
  return static_cast<double>(at.epoch) * static_cast<double>(at.updates) +
         static_cast<double>(at.update);
}

double warmup_factor(const UpdatePlace& at, double epochs) {
  const double length = epochs * static_cast<double>(at.updates);
  return number_of(at) + 1 < length ? (number_of(at) + 1) / length : 1;
}

}  // namespace

double scheduled_rate(const Options& options, const UpdatePlace& at) {
  const double warmup = options.warmup_epochs;
  const double epochs = std::max(1.0, static_cast<double>(options.epochs) - warmup);
  const auto updates = static_cast<double>(at.updates);
  const double epoch = std::max(0.0, static_cast<double>(at.epoch) - warmup);
  double rate = learning_rate_of(options) * warmup_factor(at, warmup);
  switch (options.schedule) {
    case LearningRateSchedule::constant:
    case LearningRateSchedule::plateau:
      return rate;
    case LearningRateSchedule::step: {
      const auto falls = static_cast<std::size_t>(epoch) / options.decay_epochs;
      for (std::size_t i = 0; i < falls && rate > 0; ++i) rate *= options.decay;
      return rate;
    }
    case LearningRateSchedule::cosine:
      return rate * half_cosine(epoch / epochs);
    case LearningRateSchedule::one_cycle:
      return rate * one_cycle(std::max(0.0, number_of(at) - warmup * updates), epochs * updates);
  }
  return rate;
}

void note_loss(const Options& options, double loss, PlateauState& state) {
  if (options.schedule != LearningRateSchedule::plateau) return;
  constexpr double kThreshold = 1e-4;
  if (loss < state.best_loss * (1 - kThreshold)) {
    state.best_loss = loss;
    state.epochs_since_best = 0;
  } else if (++state.epochs_since_best > options.decay_epochs) {
    state.factor *= options.decay;
    state.epochs_since_best = 0;
  }
}

double gradient_scale(double summed_norm, double total, double clip_norm) {
  const double mean = 1 / total;
  const double norm = summed_norm * mean;
  return clip_norm > 0 && norm > clip_norm ? mean * (clip_norm / norm) : mean;
}

}  // namespace lockstep
