#include "layers/layer_links.h"

#include <array>

#include "layers/output_layer.h"
#include "tuning.h"

namespace lockstep {
namespace {

void drop(const Dropout* dropout, const LayerSize& layer, std::size_t sequence,
          std::size_t timestep, std::size_t first, std::span<float> values) {
  if (dropout == nullptr || !dropout->drops()) return;
  dropout->apply(layer, sequence, timestep, first, values);
}

}  // namespace

void LayerInputs::copy_outputs(const RowSchedule& schedule, std::size_t n, std::size_t own,
                               float* x) const {
  for (const RecurrentLayer& layer : below_) {
    const LayerSize& size = layer.size();
    std::copy_n(layer.output(schedule, n, own), size.hidden, x);
    drop(dropout_, size, schedule.member(n), own, 0, {x, size.hidden});
    x += size.hidden;
  }
}

void LayerGradients::write(const RowSchedule& schedule, std::size_t n, std::size_t own, Range units,
                           bool adds, float* h) const {
  if (head_ != nullptr) {
    return head_->write_gradients(schedule, n, own, units, below_->backward, adds, h);
  }
  const std::size_t first_input = below_->backward ? below_->hidden : 0;
  std::array<float, kUnitsFromAbove> sums;
  for (std::size_t first = units.begin; first < units.end; first += kUnitsFromAbove) {
    const std::size_t count = std::min(kUnitsFromAbove, units.end - first);
    const auto at = [&](const RecurrentLayer& layer) {
      return layer.input_gradient(schedule, n, own) + first_input + first;
    };
    std::copy_n(at(above_[0]), count, sums.begin());
    for (const RecurrentLayer& layer : above_.subspan(1)) {
      const float* other = at(layer);
      for (std::size_t j = 0; j < count; ++j) sums[j] += other[j];
    }
    drop(dropout_, *below_, schedule.member(n), own, first, {sums.data(), count});
    float* to = h + first;
    for (std::size_t j = 0; j < count; ++j) to[j] = adds ? to[j] + sums[j] : sums[j];
  }
}

}  // namespace lockstep
