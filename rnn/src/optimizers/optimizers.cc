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
    : Optimizer(tensors, options, {0, tensors.back().offset + tensors.back().size()}) {}

Optimizer::Optimizer(std::span<const Tensor> tensors, const Options& options, Range own)
    : rule_(&rule_of(options)),
      options_(options),
      slot_count_(rule_->slots(options).size()),
      own_(own),
      first_power_(options.beta1),
      second_power_(options.beta2) {
  const double decay = options.weight_decay.value_or(rule_->decay);
  for (const Tensor& tensor : tensors) {
    const bool decays = options.decay_biases || tensor.role != TensorRole::bias;
    const double of_tensor = decays ? decay : 0;
    if (spans_.empty() || decays_.back() != of_tensor) {
      spans_.push_back({weights_, weights_});
      decays_.push_back(of_tensor);
    }
    weights_ += tensor.size();
    spans_.back().end = weights_;
  }
  slots_.resize(slot_count_ * own_.size());
  if (options.ema > 0) average_.resize(own_.size());
}

void Optimizer::update(std::span<float> weights, std::span<const float> gradient, double scale,
                       double rate, const Team& team) {
  const Range part = share(own_.size(), team.index(), team.size());
  const Range mine{own_.begin + part.begin, own_.begin + part.end};
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
    part.slots[s] = slots_.data() + s * own_.size() + (range.begin - own_.begin);
  }
  part.decay = decay;
  rule_->update(part);
}

// The first weights that are averaged are those after the first update.
void Optimizer::update_average(std::span<const float> weights, Range range) {
  const auto kept = static_cast<float>(updates_ == 0 ? 0 : options_.ema);
  const auto added = static_cast<float>(updates_ == 0 ? 1 : 1 - options_.ema);
  float* average = average_.data() + (range.begin - own_.begin);
  for (const float weight : weights.subspan(range.begin, range.size())) {
    *average = kept * *average + added * weight;
    ++average;
  }
}

void Optimizer::restore(const TrainerState& state) {
  for (std::size_t s = 0; s < slot_count_; ++s) {
    std::copy_n(state.slots.begin() + static_cast<std::ptrdiff_t>(s * weights_ + own_.begin),
                own_.size(), slots_.begin() + static_cast<std::ptrdiff_t>(s * own_.size()));
  }
  if (!state.average.empty()) {
    std::copy_n(state.average.begin() + static_cast<std::ptrdiff_t>(own_.begin), own_.size(),
                average_.begin());
  }
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
