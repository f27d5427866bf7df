#include <algorithm>
#include <array>

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
    : Optimizer(tensors, options,
                std::array{Range{0, tensors.back().offset + tensors.back().size()}}) {}

Optimizer::Optimizer(std::span<const Tensor> tensors, const Options& options,
                     std::span<const Range> own)
    : rule_(&rule_of(options)),
      options_(options),
      slot_count_(rule_->slots(options).size()),
      weights_(tensors.back().offset + tensors.back().size()),
      first_power_(options.beta1),
      second_power_(options.beta2) {
  for (const Range& range : own) add_pieces(tensors, range);
  slots_.resize(slot_count_ * own_);
  if (options.ema > 0) average_.resize(own_);
}

bool Optimizer::continues(const Piece& before, const Piece& piece) {
  return before.weights + before.own.size() == piece.weights && before.decay == piece.decay;
}

void Optimizer::add_pieces(std::span<const Tensor> tensors, Range own) {
  const double decay = options_.weight_decay.value_or(rule_->decay);
  for (const Tensor& tensor : tensors) {
    const Range weights{std::max(own.begin, tensor.offset),
                        std::min(own.end, tensor.offset + tensor.size())};
    if (weights.begin >= weights.end) continue;
    const bool decays = options_.decay_biases || tensor.role != TensorRole::bias;
    const Piece piece{{own_, own_ + weights.size()}, weights.begin, decays ? decay : 0};
    own_ = piece.own.end;
    if (!pieces_.empty() && continues(pieces_.back(), piece)) {
      pieces_.back().own.end = own_;
    } else {
      pieces_.push_back(piece);
    }
  }
}

void Optimizer::update(std::span<float> weights, std::span<const float> gradient, double scale,
                       double rate, const Team& team) {
  const Range mine = share(own_, team.index(), team.size());
  const Update all{.weights = weights,
                   .gradient = gradient.data(),
                   .slots = {},
                   .scale = scale,
                   .rate = rate,
                   .decay = 0,
                   .first_correction = 1 - first_power_,
                   .second_correction = 1 - second_power_,
                   .options = options_};
  for (const Piece& piece : pieces_) {
    const std::size_t end = std::min(mine.end, piece.own.end);
    for (std::size_t at = std::max(mine.begin, piece.own.begin); at < end; at += kUpdatedTogether) {
      const Range own{at, std::min(end, at + kUpdatedTogether)};
      const Piece part{own, piece.weights + (at - piece.own.begin), piece.decay};
      update_piece(all, part);
      if (!average_.empty()) update_average(weights, part);
    }
  }
}

void Optimizer::update_piece(const Update& all, const Piece& piece) {
  Update part = all;
  part.weights = all.weights.subspan(piece.weights, piece.own.size());
  part.gradient = all.gradient + piece.weights;
  for (std::size_t s = 0; s < slot_count_; ++s) {
    part.slots[s] = slots_.data() + s * own_ + piece.own.begin;
  }
  part.decay = piece.decay;
  rule_->update(part);
}

// The first weights that are averaged are those after the first update.
void Optimizer::update_average(std::span<const float> weights, const Piece& piece) {
  const auto kept = static_cast<float>(updates_ == 0 ? 0 : options_.ema);
  const auto added = static_cast<float>(updates_ == 0 ? 1 : 1 - options_.ema);
  float* average = average_.data() + piece.own.begin;
  for (const float weight : weights.subspan(piece.weights, piece.own.size())) {
    *average = kept * *average + added * weight;
    ++average;
  }
}

void Optimizer::restore(const TrainerState& state) {
  for (const Piece& piece : pieces_) {
    for (std::size_t s = 0; s < slot_count_; ++s) {
      std::copy_n(state.slots.data() + s * weights_ + piece.weights, piece.own.size(),
                  slots_.data() + s * own_ + piece.own.begin);
    }
    if (state.average.empty()) continue;
    std::copy_n(state.average.data() + piece.weights, piece.own.size(),
                average_.data() + piece.own.begin);
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
