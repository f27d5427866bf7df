#include <algorithm>

#include "lookup.h"
#include "optimizers/optimizer.h"
#include "tuning.h"

namespace lockstep {
namespace {

const OptimizerRule& rule_of(const Options& options) {
  return find_named(kOptimizers, options.optimizer, "optimizer");
}

}  // namespace

double learning_rate_of(const Options& options) {
  return options.learning_rate.value_or(rule_of(options).rate);
}

double clip_norm_of(const Options& options) {
  return options.clip_norm.value_or(rule_of(options).clip_norm);
}

double momentum_of(const Options& options) {
  return options.momentum.value_or(rule_of(options).momentum);
}

Optimizer::Optimizer(std::span<const Tensor> tensors, const Options& options)
    : rule_(&rule_of(options)),
      options_(options),
      slot_count_(rule_->slots(options).size()),
      first_power_(options.beta1),
      second_power_(options.beta2) {
  const double decay = options.weight_decay.value_or(rule_->decay);
  for (const Tensor& tensor : tensors) {
    const bool decays = options.decay_biases || tensor.role != TensorRole::bias;
    const double own = decays ? decay : 0;
    if (spans_.empty() || decays_.back() != own) {
      spans_.push_back({weights_, weights_});
      decays_.push_back(own);
    }
    weights_ += tensor.size();
    spans_.back().end = weights_;
  }
  slots_.resize(slot_count_ * weights_);
  if (options.ema > 0) average_.resize(weights_);
}

void Optimizer::update(std::span<float> weights, std::span<const float> gradient, double scale,
                       double rate, const Team& team) {
  const Range mine = share(weights.size(), team.index(), team.size());
  const Update all{.weights = weights,
                   .gradient = gradient.data(),
                   .slots = {},
                   .scale = scale,
                   .rate = rate,
                   .decay = 0,
                   .first_correction = 1 - first_power_,
                   .second_correction = 1 - second_power_,
                   .options = options_};
  for (std::size_t i = 0; i < spans_.size(); ++i) {
    const std::size_t end = std::min(mine.end, spans_[i].end);
    for (std::size_t at = std::max(mine.begin, spans_[i].begin); at < end; at += kUpdatedTogether) {
      const Range range{at, std::min(end, at + kUpdatedTogether)};
      update_span(all, range, decays_[i]);
      if (!average_.empty()) update_average(weights, range);
    }
  }
}

void Optimizer::update_span(const Update& all, Range range, double decay) {
  Update part = all;
  part.weights = all.weights.subspan(range.begin, range.size());
  part.gradient = all.gradient + range.begin;
  for (std::size_t s = 0; s < slot_count_; ++s) {
    part.slots[s] = slots_.data() + s * weights_ + range.begin;
  }
  part.decay = decay;
  rule_->update(part);
}

// The first weights that are averaged are those after the first update.
void Optimizer::update_average(std::span<const float> weights, Range range) {
  const auto kept = static_cast<float>(updates_ == 0 ? 0 : options_.ema);
  const auto added = static_cast<float>(updates_ == 0 ? 1 : 1 - options_.ema);
  for (std::size_t i = range.begin; i < range.end; ++i) {
    average_[i] = kept * average_[i] + added * weights[i];
  }
}

void Optimizer::restore(const TrainerState& state) {
  std::ranges::copy(state.slots, slots_.begin());
  std::ranges::copy(state.average, average_.begin());
  updates_ = state.updates;
  first_power_ = state.beta_powers[0];
  second_power_ = state.beta_powers[1];
}

void Optimizer::advance() {
  ++updates_;
  first_power_ *= options_.beta1;
  second_power_ *= options_.beta2;
}

}  // namespace lockstep
