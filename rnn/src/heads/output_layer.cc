#include "heads/output_layer.h"

#include <algorithm>
#include <numeric>

namespace lockstep {

PackedOutput::PackedOutput(Workspace& workspace, const Network& network, bool has_way_back)
    : head_(&head_named(network.head)),
      weights_(workspace.take_packed(network.layers.back().hidden, network.outputs)),
      bias_(workspace.take<float>(network.outputs)) {
  if (has_way_back) {
    transposed_ = workspace.take_packed(network.outputs, network.layers.back().hidden);
  }
}

void PackedOutput::pack(std::span<const float> weights, const Team& team) {
  const std::size_t cols = bias_.size();
  const float* wy = weights.data() + cols;
  pack_share(weights_, Transpose::no, wy, cols, team);
  if (transposed_.panels() > 0) pack_share(transposed_, Transpose::yes, wy, cols, team);
  if (team.index() == 0) std::copy_n(weights.begin(), cols, bias_.begin());
}

void PackedOutput::run(std::size_t count, const float* h, std::size_t ldh, float* y,
                       std::size_t ldy) const {
  gemm_packed({.m = count, .a = h, .lda = ldh, .start = bias_.data(), .c = y, .ldc = ldy},
              weights_);
}

void PackedOutput::run_back(std::size_t count, const float* d, std::size_t ldd,
                            const StateGradients& states) const {
  gemm_packed({.m = count,
               .a = d,
               .lda = ldd,
               .c = states.values,
               .ldc = states.stride,
               .epilogue = states.epilogue,
               .h = states.h,
               .ldh = states.ldh},
              transposed_);
}

OutputLayer::OutputLayer(Workspace& workspace, const Network& network, std::size_t max_rows,
                         bool has_way_back)
    : states_(0, network.layers.back().hidden),
      cols_(network.outputs),
      stride_(round_up(network.outputs)),
      outputs_(workspace.take<float>(max_rows * stride_)) {
  if (!has_way_back) return;
  gradient_ = workspace.take<float>((1 + network.layers.back().hidden) * stride_);
  labels_ = workspace.take<int>(max_rows);
  losses_ = workspace.take<double>(max_rows);
}

void OutputLayer::forward(const RowSchedule& schedule, const RecurrentLayer& layer,
                          const PackedOutput& weights, const Team& team) {
  const Range rows = share(schedule.rows(), team.index(), team.size());
  weights.run(rows.end - rows.begin, layer.finals() + rows.begin * states_.stride + states_.state,
              states_.stride, outputs_.data() + rows.begin * stride_, stride_);
}

void OutputLayer::find_loss(const Dataset& data, const RowSchedule& schedule, const Head& head) {
  const std::size_t rows = schedule.rows();
  for (std::size_t n = 0; n < rows; ++n) labels_[n] = data.label(schedule.member(n));
  correct_ = head.loss(outputs(rows), labels_.data(), losses_.data());
}

// d: gradients of the outputs.  dWy = [1, h]^T d,  dh = d Wy^T
void OutputLayer::backward(const RowSchedule& schedule, const RecurrentLayer& layer,
                           const PackedOutput& weights) {
  const std::size_t rows = schedule.rows();
  std::ranges::fill(gradient_, 0.0f);
  gemm_accumulate_transposed(cols_, rows, layer.finals() + states_.one, states_.stride,
                             outputs_.data(), stride_, gradient_.data(), stride_, 0,
                             gradient_.size() / stride_);
  weights.run_back(rows, outputs_.data(), stride_, layer.final_gradients());
}

double OutputLayer::loss(std::size_t rows) const {
  return std::accumulate(losses_.begin(), losses_.begin() + static_cast<std::ptrdiff_t>(rows), 0.0);
}

}  // namespace lockstep
