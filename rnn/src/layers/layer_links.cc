#include "layers/layer_links.h"

namespace lockstep {

void LayerInputs::copy_outputs(const RowSchedule& schedule, std::size_t n, std::size_t own,
                               float* x) const {
  float* to = x;
  for (const RecurrentLayer& layer : below_) {
    std::copy_n(layer.output(schedule, n, own), layer.size().hidden, to);
    to += layer.size().hidden;
  }
  if (drops()) drop(schedule, n, own, x);
}

void LayerInputs::drop(const RowSchedule& schedule, std::size_t n, std::size_t own,
                       float* values) const {
  for (const RecurrentLayer& layer : below_) {
    const LayerSize& size = layer.size();
    dropout_->apply(size, schedule.member(n), own, {values, size.hidden});
    values += size.hidden;
  }
}

void LayerGradients::write(const RowSchedule& schedule, std::size_t n, std::size_t own, Range units,
                           bool adds, float* h) const {
  for (const RecurrentLayer& layer : above_) {
    const float* from = layer.input_gradient(schedule, n, own) + first_input_;
    if (adds) {
      for (std::size_t j = units.begin; j < units.end; ++j) h[j] += from[j];
    } else {
      std::copy(from + units.begin, from + units.end, h + units.begin);
    }
    adds = true;
  }
}

}  // namespace lockstep
