#include <array>
#include <stdexcept>

#include "network/lookup.h"
#include "optimizers/optimizer.h"

namespace lockstep {
namespace {

constexpr std::size_t kMostSlots = 4;

}  // namespace

std::span<const OptimizerRule* const> optimizers() {
  static constexpr const OptimizerRule* kOptimizers[] = {&kSgd};
  return kOptimizers;
}

const OptimizerRule& optimizer_named(std::string_view name) {
  return find_named(optimizers(), name, "optimizer");
}

Optimizer::Optimizer(const OptimizerRule& rule, std::size_t weights, const Options& options)
    : rule_(&rule), options_(options), slots_(rule.slots(options)) {
  if (slots_.size() > kMostSlots) throw std::logic_error("Optimizer: too many slots");
  for (std::vector<float>& slot : slots_) slot.resize(weights);
}

void Optimizer::update(std::span<float> weights, std::span<const float> gradient, double scale,
                       double rate, const Team& team) {
  const Range mine = share(weights.size(), team.index(), team.size());
  const std::size_t count = mine.end - mine.begin;
  std::array<float*, kMostSlots> slots{};
  for (std::size_t i = 0; i < slots_.size(); ++i) slots[i] = slots_[i].data() + mine.begin;
  rule_->update({weights.subspan(mine.begin, count), gradient.subspan(mine.begin, count),
                 std::span(slots).first(slots_.size()), scale, rate, options_});
}

double gradient_scale(double summed_norm, std::size_t samples, double clip_norm) {
  const double mean = 1 / static_cast<double>(samples);
  const double norm = summed_norm * mean;
  return clip_norm > 0 && norm > clip_norm ? mean * (clip_norm / norm) : mean;
}

}  // namespace lockstep
