#include "layers/output_layer.h"

#include <algorithm>
#include <numeric>

namespace lockstep {

namespace {

// Whether each is the backward one.
std::vector<bool> directions_of(const Layer& layer) {
  return layer.bidirectional ? std::vector<bool>{false, true} : std::vector<bool>{false};
}

}  // namespace

PackedOutput::PackedOutput(Workspace& workspace, const Network& network, Purpose purpose)
    : head(find_named(kHeads, network.head, "head")),
      bias(workspace.take<float>(network.outputs)),
      weights(workspace.take_packed(network.layers.back().outputs(), network.outputs)) {
  if (purpose == Purpose::inference) return;
  const Layer& last = network.layers.back();
  weights_back = workspace.take_objects(last.bidirectional ? 2 : 1, [&] {
    return workspace.take_packed(network.outputs, last.hidden);
  });
}

void PackedOutput::pack(std::span<const float> parameters, const Team& team) {
  if (team.index() == 0) std::copy_n(parameters.begin(), bias.size(), bias.begin());
  const float* wy = parameters.data() + bias.size();
  pack_share(weights, Transpose::no, wy, bias.size(), team);
  for (PackedMatrix& part : weights_back) {
    pack_share(part, Transpose::yes, wy, bias.size(), team);
    wy += part.n() * bias.size();
  }
}

void PackedOutput::run(const float* h, std::size_t ldh, const MatrixView& y) const {
  gemm_packed({.m = y.rows, .a = h, .lda = ldh, .start = bias.data(), .c = y.data, .ldc = y.stride},
              weights);
}

OutputLayer::OutputLayer(Workspace& workspace, const Network& network, std::size_t max_rows,
                         Purpose purpose)
    : states_(0, network.layers.back().outputs()),
      inputs_(network.layers.back().outputs()),
      cols_(network.outputs),
      stride_(round_up(network.outputs)),
      rows_(take_rows(workspace, states_, max_rows)),
      outputs_(workspace.take<float>(max_rows * stride_)),
      pools_(workspace.take_each(directions_of(network.layers.back()), [&](bool backward) {
        const std::size_t hidden = network.layers.back().hidden;
        return Pool(network.pool, backward, hidden, rows_, states_.state + (backward ? hidden : 0),
                    states_.stride);
      })) {
  if (purpose == Purpose::inference) return;
  for (Pool& pool : pools_) {
    if (!pool.empty()) pool.take_gradients(workspace, max_rows);
  }
  gradient_ = workspace.take<float>((1 + inputs_) * stride_);
  labels_ = workspace.take<int>(max_rows);
  losses_ = workspace.take<double>(max_rows);
}

void OutputLayer::read_states(const RowSchedule& schedule, std::span<const RecurrentLayer> last,
                              Range rows) const {
  for (std::size_t n = rows.begin; n < rows.end; ++n) {
    if (!pools_[0].empty()) {
      for (const Pool& pool : pools_) pool.finish(n, schedule.length(n));
      continue;
    }
    float* h = rows_.data() + n * states_.stride + states_.state;
    for (const RecurrentLayer& layer : last) {
      const std::size_t hidden = layer.size().hidden;
      std::copy_n(layer.final_state(n), hidden, h);
      h += hidden;
    }
  }
}

void OutputLayer::forward(const RowSchedule& schedule, std::span<const RecurrentLayer> last,
                          const PackedOutput& weights, const Team& team) const {
  const Range rows = share(schedule.rows(), team.index(), team.size());
  read_states(schedule, last, rows);
  weights.run(rows_.data() + rows.begin * states_.stride + states_.state, states_.stride,
              outputs(rows));
}

void OutputLayer::find_loss(const Dataset& data, const RowSchedule& schedule, const Head& head) {
  const std::size_t rows = schedule.rows();
  for (std::size_t n = 0; n < rows; ++n) labels_[n] = data.label(schedule.member(n));
  correct_ = head.loss(outputs({0, rows}), labels_.data(), losses_.data());
}

// d: gradients of the outputs.  dWy = [1, h]^T d,  dh = d Wy^T
void OutputLayer::backward(const RowSchedule& schedule, std::span<const RecurrentLayer> last,
                           const PackedOutput& weights) {
  const std::size_t rows = schedule.rows();
  std::ranges::fill(gradient_, 0.0f);
  gemm_accumulate_transposed(cols_, rows, rows_.data() + states_.one, states_.stride,
                             outputs_.data(), stride_, gradient_.data(), stride_, 0,
                             gradient_.size() / stride_);
  for (std::size_t i = 0; i < last.size(); ++i) {
    const Pool& pool = pools_[i];
    const MatrixView pooled = pool.gradients(rows);
    PackedGemm states = pool.empty()
                            ? last[i].last_deltas(schedule)
                            : PackedGemm{.m = rows, .c = pooled.data, .ldc = pooled.stride};
    states.a = outputs_.data();
    states.lda = stride_;
    gemm_packed(states, weights.weights_back[i]);
    for (std::size_t n = 0; n < rows; ++n) pool.finish_gradients(n, schedule.length(n));
  }
}

std::array<MatrixView, 2> OutputLayer::gradients() const {
  return {MatrixView(gradient_.data(), 1, cols_, stride_),
          MatrixView(gradient_.data() + stride_, inputs_, cols_, stride_)};
}

double OutputLayer::loss(std::size_t rows) const {
  const auto found = losses_.first(rows);
  return std::accumulate(found.begin(), found.end(), 0.0);
}

}  // namespace lockstep
