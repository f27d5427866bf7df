#include "layers/output_layer.h"

#include <algorithm>
#include <numeric>

namespace lockstep {

void PackedOutput::run(const float* h, std::size_t ldh, const MatrixView& y) const {
  gemm_packed({.m = y.rows, .a = h, .lda = ldh, .start = bias.data(), .c = y.data, .ldc = y.stride},
              weights.forward);
}

OutputLayer::OutputLayer(Workspace& workspace, const Network& network, std::size_t max_rows,
                         Purpose purpose)
    : hidden_(network.layers.back().hidden),
      states_(final_layout_of(LayerSize(network))),
      cols_(network.outputs),
      stride_(round_up(network.outputs)),
      outputs_(workspace.take<float>(max_rows * stride_)) {
  if (purpose == Purpose::inference) return;
  gradient_ = workspace.take<float>((1 + hidden_) * stride_);
  labels_ = workspace.take<int>(max_rows);
  losses_ = workspace.take<double>(max_rows);
}

void OutputLayer::forward(const RowSchedule& schedule, const RecurrentLayer& layer,
                          const PackedOutput& weights, const Team& team) const {
  const Range rows = share(schedule.rows(), team.index(), team.size());
  weights.run(layer.finals() + rows.begin * states_.stride + states_.state, states_.stride,
              outputs(rows));
}

void OutputLayer::find_loss(const Dataset& data, const RowSchedule& schedule, const Head& head) {
  const std::size_t rows = schedule.rows();
  for (std::size_t n = 0; n < rows; ++n) labels_[n] = data.label(schedule.member(n));
  correct_ = head.loss(outputs({0, rows}), labels_.data(), losses_.data());
}

// d: gradients of the outputs.  dWy = [1, h]^T d,  dh = d Wy^T
void OutputLayer::backward(const RowSchedule& schedule, const RecurrentLayer& layer,
                           const PackedOutput& weights) {
  const std::size_t rows = schedule.rows();
  std::ranges::fill(gradient_, 0.0f);
  gemm_accumulate_transposed(cols_, rows, layer.finals() + states_.one, states_.stride,
                             outputs_.data(), stride_, gradient_.data(), stride_, 0,
                             gradient_.size() / stride_);
  PackedGemm states = layer.last_deltas(schedule);
  states.a = outputs_.data();
  states.lda = stride_;
  gemm_packed(states, weights.weights.backward);
}

double OutputLayer::loss(std::size_t rows) const {
  const auto found = losses_.first(rows);
  return std::accumulate(found.begin(), found.end(), 0.0);
}

}  // namespace lockstep
