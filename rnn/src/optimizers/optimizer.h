// THE table of optimizers, kOptimizers: how weights follow their gradient.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "lockstep/rnn/options.h"
#include "lockstep/threads.h"

namespace lockstep {

// A span of weights, the gradient of their summed loss, and the numbers that are kept of them.
struct Update {
  std::span<float> weights;
  std::span<const float> gradient;
  std::span<float> slots;  // [weights][slots]
  double scale;            // of the gradient; see gradient_scale
  double rate;
  const Options& options;
};

struct OptimizerRule {
  std::string_view name;
  // Numbers kept per weight, zeros at first.
  std::size_t (*slots)(const Options& options);
  void (*update)(const Update& update);
};

extern const OptimizerRule kSgd;
inline constexpr const OptimizerRule* kOptimizers[] = {&kSgd};

// The rule of the options with its slots.
class Optimizer {
 public:
  Optimizer(std::size_t weights, const Options& options);

  // Updates this thread's share of the weights.
  void update(std::span<float> weights, std::span<const float> gradient, double scale, double rate,
              const Team& team);

 private:
  const OptimizerRule& rule_;
  Options options_;
  std::size_t slots_per_weight_;
  std::vector<float> slots_;  // [weights][slots]
};

// Learning rate of an epoch counted from 0.
[[nodiscard]] double scheduled_rate(const Options& options, std::size_t epoch);
// The factor that turns the gradient of a summed loss over `samples` into that of the mean, scaled
// down where its norm would exceed clip_norm (0: never).
[[nodiscard]] double gradient_scale(double summed_norm, std::size_t samples, double clip_norm);

}  // namespace lockstep
