// THE table of optimizers: how weights follow their gradient.
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

[[nodiscard]] std::span<const OptimizerRule* const> optimizers();
// Throws std::invalid_argument, with the names that there are.
[[nodiscard]] const OptimizerRule& optimizer_named(std::string_view name);

extern const OptimizerRule kSgd;

// A rule with its slots.
class Optimizer {
 public:
  Optimizer(const OptimizerRule& rule, std::size_t weights, const Options& options);

  // Updates this thread's share of the weights.
  void update(std::span<float> weights, std::span<const float> gradient, double scale, double rate,
              const Team& team);

 private:
  const OptimizerRule* rule_;
  Options options_;
  std::size_t slots_per_weight_;
  std::vector<float> slots_;  // [weights][slots]
};

// The factor that turns the gradient of a summed loss over `samples` into that of the mean, scaled
// down where its norm would exceed clip_norm (0: never).
double gradient_scale(double summed_norm, std::size_t samples, double clip_norm);

}  // namespace lockstep
