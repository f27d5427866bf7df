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

OutputMemory::OutputMemory(Workspace& workspace, const Network& network, Purpose purpose,
                           std::size_t count, bool in_segments)
    : by_segments(in_segments),
      states(0, network.layers.back().outputs()),
      cols(network.outputs),
      stride(round_up(network.outputs)),
      rows(take_rows(workspace, states, count)),
      outputs(workspace.take<float>(count * stride)) {
  if (purpose == Purpose::inference) return;
  const TargetKind kind = head_of(network).targets;
  if (is_label(kind)) labels = workspace.take<int>(count);
  weights = workspace.take<double>(count);
  if (!is_label(kind)) targets = workspace.take<float>(count * cols);
  losses = workspace.take<double>(count);
}

OutputMemory OutputMemory::from(std::size_t first) const {
  const auto after = [](auto span, std::size_t count) {
    return span.empty() ? span : span.subspan(count);
  };
  OutputMemory part = *this;
  part.rows = after(rows, first * states.stride);
  part.outputs = after(outputs, first * stride);
  part.labels = after(labels, first);
  part.weights = after(weights, first);
  part.targets = after(targets, first * cols);
  part.losses = after(losses, first);
  return part;
}

OutputLayer::OutputLayer(Workspace& workspace, const Network& network, std::size_t max_rows,
                         Purpose purpose)
    : of_steps_(lockstep::is_of_steps(head_of(network).targets)),
      has_labels_(is_label(head_of(network).targets)),
      inputs_(network.layers.back().outputs()),
      hidden_(network.layers.back().hidden),
      memory_(workspace, network, purpose, of_steps_ ? 0 : max_rows),
      pools_(workspace.take_each(directions_of(network.layers.back()), [&](bool backward) {
        const Pooling kind = of_steps_ ? Pooling::last : network.pool;
        return Pool(kind, backward, hidden_, memory_.rows,
                    memory_.states.state + (backward ? hidden_ : 0), memory_.states.stride);
      })) {
  if (purpose == Purpose::inference) return;
  for (Pool& pool : pools_) {
    if (!pool.empty()) pool.take_gradients(workspace, max_rows);
  }
  gradient_ = workspace.take<float>((1 + inputs_) * memory_.stride);
}

void OutputLayer::read_states(const RowSchedule& schedule, std::span<const RecurrentLayer> last,
                              Range rows) const {
  for (std::size_t n = rows.begin; n < rows.end; ++n) {
    if (!pools_[0].empty()) {
      for (const Pool& pool : pools_) pool.finish(n, schedule.length(n));
      continue;
    }
    float* h = memory_.rows.data() + n * memory_.states.stride + memory_.states.state;
    for (const RecurrentLayer& layer : last) {
      std::copy_n(layer.final_state(n), hidden_, h);
      h += hidden_;
    }
  }
}

void OutputLayer::read_steps(const RowSchedule& schedule, const RecurrentLayer& layer,
                             const Team& team) const {
  const Range segment = schedule.segment(schedule.kept());
  const Range mine = share(segment.size(), team.index(), team.size());
  const std::size_t first = memory_.states.state + (layer.size().backward ? hidden_ : 0);
  for (std::size_t t = segment.begin + mine.begin; t < segment.begin + mine.end; ++t) {
    for (std::size_t n = 0; n < schedule.active(t); ++n) {
      const std::size_t own = layer.own_time_of(schedule, n, t);
      float* row = memory_.rows.data() + step_row(schedule, n, own) * memory_.states.stride;
      std::copy_n(layer.output(schedule, n, own), hidden_, row + first);
    }
  }
}

void OutputLayer::forward(const RowSchedule& schedule, std::span<const RecurrentLayer> last,
                          const PackedOutput& weights, const Team& team) const {
  const Range mine = share(rows(schedule), team.index(), team.size());
  if (!of_steps_) read_states(schedule, last, mine);
  weights.run(memory_.rows.data() + mine.begin * memory_.states.stride + memory_.states.state,
              memory_.states.stride, outputs(mine));
}

void OutputLayer::take_targets(const Dataset& data, const RowSchedule& schedule,
                               std::span<const float> class_weights) const {
  const auto take = [&](std::size_t row, std::size_t n, std::size_t own) {
    const std::size_t i = schedule.member(n);
    double& weight = memory_.weights[row];
    weight = static_cast<double>(data.weight(i));
    if (has_labels_) {
      const int label = of_steps_ ? data.step_labels(i)[own] : data.label(i);
      memory_.labels[row] = label;
      if (class_weights.empty() || label == kNoLabel) return;
      weight *= static_cast<double>(class_weights[static_cast<std::size_t>(label)]);
    } else {
      std::copy_n(data.targets(i).data() + (of_steps_ ? own * memory_.cols : 0), memory_.cols,
                  memory_.targets.data() + row * memory_.cols);
    }
  };
  if (of_steps_) return for_steps(schedule, {0, rows(schedule)}, take);
  for (std::size_t n = 0; n < schedule.rows(); ++n) take(n, n, 0);
}

void OutputLayer::begin_loss() {
  totals_ = {};
  std::ranges::fill(gradient_, 0.0f);
}

void OutputLayer::find_loss(const Dataset& data, const RowSchedule& schedule, const Head& head,
                            const LossSettings& settings, Run run) {
  take_targets(data, schedule, settings.class_weights);
  const std::size_t count_of_rows = rows(schedule);
  const HeadRows all{.outputs = outputs({0, count_of_rows}),
                     .labels = has_labels_ ? memory_.labels.data() : nullptr,
                     .targets = memory_.targets.data()};
  const double right = head.loss(all, settings.options, memory_.losses.data());
  for (std::size_t row = 0; row < count_of_rows; ++row) weigh_gradients(row);
  if (run == Run::again) return;
  totals_.right += right;
  for (std::size_t row = 0; row < count_of_rows; ++row) count(all, row);
  add_gradient(count_of_rows);
}

// Nothing of what does not count, were it infinite.
void OutputLayer::weigh_gradients(std::size_t row) const {
  const double weight = memory_.weights[row];
  if (weight == 1) return;
  for (float& gradient : std::span(outputs({row, row + 1}).data, memory_.cols)) {
    gradient = weight == 0 ? 0 : gradient * static_cast<float>(weight);
  }
}

void OutputLayer::count(const HeadRows& all, std::size_t row) {
  const double weight = memory_.weights[row];
  const double known = known_share(all.target(row));
  totals_.loss += weight == 0 ? 0 : memory_.losses[row] * weight;
  totals_.weight += known * weight;
  totals_.targets += known;
}

// d: gradients of the outputs.  dWy += [1, h]^T d
void OutputLayer::add_gradient(std::size_t count) {
  gemm_accumulate_transposed(memory_.cols, count, memory_.rows.data() + memory_.states.one,
                             memory_.states.stride, memory_.outputs.data(), memory_.stride,
                             gradient_.data(), memory_.stride, 0,
                             gradient_.size() / memory_.stride);
}

// dh = d Wy^T
void OutputLayer::backward(const RowSchedule& schedule, std::span<const RecurrentLayer> last,
                           const PackedOutput& weights) {
  for (std::size_t i = 0; i < last.size(); ++i) {
    PackedGemm states = gradients_of_states(schedule, last[i], i);
    states.a = memory_.outputs.data();
    states.lda = memory_.stride;
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
    float* first = memory_.rows.data() + memory_.states.state + direction * hidden_;
    return {.m = count, .c = first, .ldc = memory_.states.stride};
  }
  if (pools_[direction].empty()) return layer.last_deltas(schedule);
  const MatrixView pooled = pools_[direction].gradients(count);
  return {.m = count, .c = pooled.data, .ldc = pooled.stride};
}

void OutputLayer::write_gradients(const RowSchedule& schedule, std::size_t n, std::size_t own,
                                  Range units, bool backward, bool adds, float* h) const {
  if (!of_steps_) return pool(backward).write(n, own, units, adds, h);
  const float* from = memory_.rows.data() + step_row(schedule, n, own) * memory_.states.stride +
                      memory_.states.state + (backward ? hidden_ : 0);
  for (std::size_t j = units.begin; j < units.end; ++j) h[j] = adds ? h[j] + from[j] : from[j];
}

std::array<MatrixView, 2> OutputLayer::gradients() const {
  return {MatrixView(gradient_.data(), 1, memory_.cols, memory_.stride),
          MatrixView(gradient_.data() + memory_.stride, inputs_, memory_.cols, memory_.stride)};
}

}  // namespace lockstep
