#include "layers/output_layer.h"

#include <algorithm>

namespace lockstep {

namespace {

// Whether each is the backward one.
std::vector<bool> directions_of(const Layer& layer) {
  return layer.bidirectional ? std::vector<bool>{false, true} : std::vector<bool>{false};
}

}  // namespace

PackedOutput::PackedOutput(Workspace& workspace, const Network& network, Purpose purpose)
    : head(head_of(network)),
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
                         std::size_t max_steps, Purpose purpose)
    : states_(0, network.layers.back().outputs()),
      of_steps_(lockstep::is_of_steps(head_of(network).targets)),
      has_labels_(is_label(head_of(network).targets)),
      inputs_(network.layers.back().outputs()),
      hidden_(network.layers.back().hidden),
      cols_(network.outputs),
      stride_(round_up(network.outputs)) {
  const std::size_t most = of_steps_ ? max_rows * max_steps : max_rows;
  rows_ = take_rows(workspace, states_, most);
  outputs_ = workspace.take<float>(most * stride_);
  pools_ = workspace.take_each(directions_of(network.layers.back()), [&](bool backward) {
    const Pooling kind = of_steps_ ? Pooling::last : network.pool;
    return Pool(kind, backward, hidden_, rows_, states_.state + (backward ? hidden_ : 0),
                states_.stride);
  });
  if (purpose == Purpose::inference) return;
  for (Pool& pool : pools_) {
    if (!pool.empty()) pool.take_gradients(workspace, max_rows);
  }
  gradient_ = workspace.take<float>((1 + inputs_) * stride_);
  labels_ = workspace.take<int>(has_labels_ ? most : 0);
  targets_ = workspace.take<float>(has_labels_ ? 0 : most * cols_);
  losses_ = workspace.take<double>(most);
  if (of_steps_) step_gradients_ = workspace.take<float>(most * states_.stride);
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
      std::copy_n(layer.final_state(n), hidden_, h);
      h += hidden_;
    }
  }
}

void OutputLayer::read_steps(const RowSchedule& schedule, std::span<const RecurrentLayer> last,
                             Range rows) const {
  for_steps(schedule, rows, [&](std::size_t row, std::size_t n, std::size_t own) {
    float* h = rows_.data() + row * states_.stride + states_.state;
    for (const RecurrentLayer& layer : last) {
      std::copy_n(layer.output(schedule, n, own), hidden_, h);
      h += hidden_;
    }
  });
}

void OutputLayer::forward(const RowSchedule& schedule, std::span<const RecurrentLayer> last,
                          const PackedOutput& weights, const Team& team) const {
  const Range mine = share(rows(schedule), team.index(), team.size());
  of_steps_ ? read_steps(schedule, last, mine) : read_states(schedule, last, mine);
  weights.run(rows_.data() + mine.begin * states_.stride + states_.state, states_.stride,
              outputs(mine));
}

void OutputLayer::take_targets(const Dataset& data, const RowSchedule& schedule) {
  const auto take = [&](std::size_t row, std::size_t n, std::size_t own) {
    const std::size_t i = schedule.member(n);
    if (has_labels_) {
      labels_[row] = of_steps_ ? data.step_labels(i)[own] : data.label(i);
    } else {
      std::copy_n(data.targets(i).data() + (of_steps_ ? own * cols_ : 0), cols_,
                  targets_.data() + row * cols_);
    }
  };
  if (of_steps_) return for_steps(schedule, {0, rows(schedule)}, take);
  for (std::size_t n = 0; n < schedule.rows(); ++n) take(n, n, 0);
}

void OutputLayer::find_loss(const Dataset& data, const RowSchedule& schedule, const Head& head,
                            const LossSettings& settings) {
  take_targets(data, schedule);
  const std::size_t count = rows(schedule);
  const HeadRows all{.outputs = outputs({0, count}),
                     .labels = has_labels_ ? labels_.data() : nullptr,
                     .targets = targets_.data()};
  totals_ = {.right = head.loss(all, settings.options, losses_.data())};
  for (std::size_t row = 0; row < count; ++row) {
    const Target target = all.target(row);
    const double known = known_share(target);
    double weight = known;
    if (!settings.class_weights.empty() && target.label != kNoLabel) {
      const float of_class = settings.class_weights[static_cast<std::size_t>(target.label)];
      for (float& gradient : std::span(all.outputs.data + row * stride_, cols_)) {
        gradient *= of_class;
      }
      weight *= static_cast<double>(of_class);
      losses_[row] *= static_cast<double>(of_class);
    }
    totals_.loss += losses_[row];
    totals_.weight += weight;
    totals_.targets += known;
  }
}

// d: gradients of the outputs.  dWy = [1, h]^T d,  dh = d Wy^T
void OutputLayer::backward(const RowSchedule& schedule, std::span<const RecurrentLayer> last,
                           const PackedOutput& weights) {
  const std::size_t count = rows(schedule);
  std::ranges::fill(gradient_, 0.0f);
  gemm_accumulate_transposed(cols_, count, rows_.data() + states_.one, states_.stride,
                             outputs_.data(), stride_, gradient_.data(), stride_, 0,
                             gradient_.size() / stride_);
  for (std::size_t i = 0; i < last.size(); ++i) {
    PackedGemm states = gradients_of_states(schedule, last[i], i);
    states.a = outputs_.data();
    states.lda = stride_;
    gemm_packed(states, weights.weights_back[i]);
    for (std::size_t n = 0; n < schedule.rows() && !pools_[i].empty(); ++n) {
      pools_[i].finish_gradients(n, schedule.length(n));
    }
  }
}

// Where the gradients of what the head has read of a direction go.
PackedGemm OutputLayer::gradients_of_states(const RowSchedule& schedule,
                                            const RecurrentLayer& layer,
                                            std::size_t direction) const {
  const std::size_t count = rows(schedule);
  if (of_steps_) {
    float* first = step_gradients_.data() + direction * hidden_;
    return {.m = count, .c = first, .ldc = states_.stride};
  }
  if (pools_[direction].empty()) return layer.last_deltas(schedule);
  const MatrixView pooled = pools_[direction].gradients(count);
  return {.m = count, .c = pooled.data, .ldc = pooled.stride};
}

void OutputLayer::write_gradients(const RowSchedule& schedule, std::size_t n, std::size_t own,
                                  Range units, bool backward, bool adds, float* h) const {
  if (!of_steps_) return pool(backward).write(n, own, units, adds, h);
  const std::size_t row = schedule.offset(schedule.start(n) + own) + n;
  const float* from = step_gradients_.data() + row * states_.stride + (backward ? hidden_ : 0);
  for (std::size_t j = units.begin; j < units.end; ++j) h[j] = adds ? h[j] + from[j] : from[j];
}

std::array<MatrixView, 2> OutputLayer::gradients() const {
  return {MatrixView(gradient_.data(), 1, cols_, stride_),
          MatrixView(gradient_.data() + stride_, inputs_, cols_, stride_)};
}

}  // namespace lockstep
