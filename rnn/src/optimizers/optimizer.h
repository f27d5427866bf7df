// THE table of optimizers, kOptimizers: how weights follow their gradient.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "lockstep/range.h"
#include "lockstep/rnn/options.h"
#include "lockstep/rnn/parameters.h"
#include "lockstep/rnn/trainer.h"
#include "lockstep/threads.h"

namespace lockstep {

inline constexpr std::size_t kMostSlots = 3;

// A span of weights, the gradient of their summed loss, and what is kept of them: slots[s] has as
// many numbers as there are weights.
struct Update {
  std::span<float> weights;
  const float* gradient;
  std::array<float*, kMostSlots> slots;
  double scale;  // of the gradient; see gradient_scale
  double rate;
  double decay;              // of these weights
  double first_correction;   // 1 - beta1^t at the t-th update
  double second_correction;  // 1 - beta2^t
  const Options& options;
};

// Only operations that round exactly (+ - * / and the square root), so that bits are equal
// everywhere. Names of slots are those of PyTorch.
struct OptimizerRule {
  std::string_view name;
  // What Options::learning_rate, clip_norm, momentum and weight_decay mean by `auto`.
  double rate;
  double clip_norm;
  double momentum;
  double decay;
  // What is kept of each weight, zeros at first.
  std::vector<std::string_view> (*slots)(const Options& options);
  void (*update)(const Update& update);
};

extern const OptimizerRule kSgd;
extern const OptimizerRule kAdam;
extern const OptimizerRule kAdamW;
extern const OptimizerRule kRmsProp;
inline constexpr const OptimizerRule* kOptimizers[] = {&kSgd, &kAdam, &kAdamW, &kRmsProp};

// Options::learning_rate, clip_norm and momentum, or the usual ones of the optimizer.
[[nodiscard]] double learning_rate_of(const Options& options);
[[nodiscard]] double clip_norm_of(const Options& options);
[[nodiscard]] double momentum_of(const Options& options);

// The rule of the options with its slots and the average of the weights.
class Optimizer {
 public:
  // For parameters of these tensors; of them it updates all, or the share of a rank: ranges in
  // their order.
  Optimizer(std::span<const Tensor> tensors, const Options& options);
  Optimizer(std::span<const Tensor> tensors, const Options& options, std::span<const Range> own);

  // Updates this thread's share of its own weights.
  void update(std::span<float> weights, std::span<const float> gradient, double scale, double rate,
              const Team& team);
  // Once behind each update of the whole team.
  void advance();

  // All that it keeps: the number of updates, the slots and the average of its own weights, one
  // range behind the other.
  [[nodiscard]] std::uint64_t updates() const { return updates_; }
  [[nodiscard]] std::size_t slot_count() const { return slot_count_; }
  [[nodiscard]] std::span<const float> slot(std::size_t s) const {
    return std::span(slots_).subspan(s * own_, own_);
  }
  [[nodiscard]] std::array<double, 2> beta_powers() const { return {first_power_, second_power_}; }
  // Continues from there; slots and average have as many numbers, of all weights, as with these
  // options.
  void restore(const TrainerState& state);

  // The average of the weights over the updates, by Options::ema; empty without, and before the
  // first.
  [[nodiscard]] bool has_average() const { return options_.ema > 0 && updates_ > 0; }
  [[nodiscard]] std::span<const float> average() const {
    return has_average() ? average_ : std::span<const float>();
  }

 private:
  // Neighbouring weights of its own, with one decay.
  struct Piece {
    Range own;            // counted among its own weights
    std::size_t weights;  // the first among all
    double decay;
  };

  [[nodiscard]] static bool continues(const Piece& before, const Piece& piece);
  void add_pieces(std::span<const Tensor> tensors, Range own);
  void update_piece(const Update& all, const Piece& piece);
  void update_average(std::span<const float> weights, const Piece& piece);

  const OptimizerRule* rule_;
  Options options_;
  std::size_t slot_count_;
  std::size_t weights_;  // in all
  std::vector<Piece> pieces_;
  std::size_t own_ = 0;       // weights
  std::vector<float> slots_;  // [slot][own weights]
  std::vector<float> average_;
  std::uint64_t updates_ = 0;
  double first_power_;  // beta1^t, of the next update
  double second_power_;
};

}  // namespace lockstep
