#include "lookup.h"
#include "optimizers/optimizer.h"

namespace lockstep {

std::span<const OptimizerRule* const> optimizers() {
  static constexpr const OptimizerRule* kOptimizers[] = {&kSgd};
  return kOptimizers;
}

const OptimizerRule& optimizer_named(std::string_view name) {
  return find_named(optimizers(), name, "optimizer");
}

Optimizer::Optimizer(const OptimizerRule& rule, std::size_t weights, const Options& options)
    : rule_(&rule),
      options_(options),
      slots_per_weight_(rule.slots(options)),
      slots_(weights * slots_per_weight_) {}

void Optimizer::update(std::span<float> weights, std::span<const float> gradient, double scale,
                       double rate, const Team& team) {
  const Range mine = share(weights.size(), team.index(), team.size());
  rule_->update(
      {weights.subspan(mine.begin, mine.size()), gradient.subspan(mine.begin, mine.size()),
       std::span(slots_).subspan(mine.begin * slots_per_weight_, mine.size() * slots_per_weight_),
       scale, rate, options_});
}

double gradient_scale(double summed_norm, std::size_t samples, double clip_norm) {
  const double mean = 1 / static_cast<double>(samples);
  const double norm = summed_norm * mean;
  return clip_norm > 0 && norm > clip_norm ? mean * (clip_norm / norm) : mean;
}

}  // namespace lockstep
