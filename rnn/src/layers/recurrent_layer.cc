#include "layers/recurrent_layer.h"

#include <algorithm>

#include "definition.h"
#include "lockstep/backend.h"
#include "lockstep/detail/useful_threads.h"
#include "lookup.h"
#include "tuning.h"

namespace lockstep {
namespace {

// Rows of deltas in a block: no more than a leaf has, no fewer than a timestep can have.
std::size_t delta_rows(const LayerSize& size, const RecurrentLayer::Limits& limits) {
  const std::size_t all = limits.rows * limits.window_steps();
  return std::max(std::min(gradient_depth(size.hidden), all), limits.rows);
}

bool packs_factors(const LayerSize& size) { return size.weight_bytes() > kPackedFactors; }

Range panels_of(const Team& team, const PackedMatrix& weights) {
  return share(weights.panels(), team.index(), team.size());
}

// Packs this thread's share of the panels of a matrix.
void pack_share(PackedMatrix& packed, Transpose transpose, const float* b, std::size_t ldb,
                const Team& team) {
  const Range mine = panels_of(team, packed);
  packed.pack_panels(transpose, b, ldb, mine.begin, mine.end);
}

}  // namespace

LayerSize::LayerSize(const Network& network)
    : inputs(network.features),
      hidden(network.layers.front().hidden),
      cell(&find_named(kCells, network.layers.front().cell, "cell")) {}

int useful_threads(const LayerSize& size, std::size_t timesteps, std::size_t shares, int threads) {
  const double work = static_cast<double>(timesteps) *
                      static_cast<double>((size.inputs + size.hidden) * size.hidden);
  return useful_threads(work, kWorkPerThread, shares, threads);
}

// Where weights fill the last cache and rows are few, a timestep waits for reading them. The
// input weights wait for no state, so a panel of them is read for several timesteps at once.
// Without fused multiply-add, two products are slower (SSE) or round once more (the reference).
std::size_t timesteps_together(const LayerSize& size, std::size_t rows, bool fused) {
  if (size.weight_bytes() < kLargeWeights || size.inputs < kFewestFeatures) return 1;
  if (rows >= kEnoughRows || !fused) return 1;
  return kRowsTogether / std::max<std::size_t>(1, rows);
}

std::span<float> take_rows(Workspace& workspace, const RowLayout& layout, std::size_t count) {
  const std::span<float> rows = workspace.take<float>(count * layout.stride);
  for (std::size_t i = layout.one; i < rows.size(); i += layout.stride) rows[i] = 1.0f;
  return rows;
}

PackedWeights::PackedWeights(Workspace& workspace, std::size_t inputs, std::size_t hidden,
                             std::size_t units, Purpose purpose)
    : forward(workspace.take_packed(inputs + hidden, units)), bias(workspace.take<float>(units)) {
  if (purpose == Purpose::training) backward = workspace.take_packed(units, hidden);
}

void PackedWeights::pack(std::span<const float> weights, const Team& team) {
  const std::size_t units = bias.size();
  const float* rows = weights.data() + units;
  pack_share(forward, Transpose::no, rows, units, team);
  if (backward.panels() > 0) {
    const std::size_t inputs = forward.k() - backward.n();
    pack_share(backward, Transpose::yes, rows + inputs * units, units, team);
  }
  if (team.index() == 0) std::copy_n(weights.begin(), units, bias.begin());
}

PackedLayer::PackedLayer(Workspace& workspace, const LayerSize& layer, Purpose purpose)
    : size(layer),
      fused(active_backend().fused),
      weights(workspace, size.inputs, size.hidden, size.hidden, purpose) {}

TimestepProduct PackedLayer::step(std::size_t ldh, SumsFrom start, const Team& team) const {
  const RowLayout layout = size.layout();
  const Range panels = panels_of(team, weights.forward);
  const bool has_inputs = start == SumsFrom::inputs;
  const PackedGemm g{.lda = layout.stride,
                     .start_stride = has_inputs ? ldh : 0,
                     .ldc = ldh,
                     .epilogue = size.cell->fused};
  const PackedGemmPlan plan(g, weights.forward,
                            {.first_panel = panels.begin,
                             .last_panel = panels.end,
                             .first_k = has_inputs ? size.inputs : 0});
  return {plan, has_inputs ? layout.state : layout.input,
          has_inputs ? nullptr : weights.bias.data(), size.cell->forward};
}

void PackedLayer::add_inputs(const Timestep& t, std::size_t panel) const {
  const RowLayout layout = size.layout();
  const PackedGemm g{.m = t.count,
                     .a = t.z + layout.input,
                     .lda = layout.stride,
                     .start = weights.bias.data(),
                     .c = t.h,
                     .ldc = t.ldh};
  gemm_packed(g, weights.forward,
              {.first_panel = panel, .last_panel = panel + 1, .last_k = size.inputs});
}

PackedGemmPlan PackedLayer::step_back(std::size_t stride, const Team& team) const {
  const Range panels = panels_of(team, weights.backward);
  const PackedGemm g{.lda = stride,
                     .ldc = stride,
                     .epilogue = size.cell->fused_gradient,
                     .ldh = size.layout().stride};
  return {g, weights.backward, {.first_panel = panels.begin, .last_panel = panels.end}};
}

RecurrentLayer::RecurrentLayer(Workspace& workspace, const LayerSize& size, const Limits& limits)
    : size_(size),
      layout_(size.layout()),
      final_layout_(size.final_layout()),
      max_rows_(limits.rows),
      together_(limits.together),
      finals_(take_rows(workspace, final_layout_, limits.rows)),
      delta_stride_(round_up(size.hidden)) {
  if (limits.steps > limits.window) {
    ring_ = take_rows(workspace, layout_, (together_ + 1) * limits.rows);
  }
  if (limits.purpose() == Purpose::inference) return;
  const std::size_t rows = delta_rows(size, limits);
  next_deltas_ = workspace.take<float>(limits.rows * delta_stride_);
  deltas_ = workspace.take<float>(rows * delta_stride_);
  gradient_ = workspace.take<float>(size.rows() * delta_stride_);
  if (!packs_factors(size)) return;
  packed_deltas_ = workspace.take_packed(rows, size.hidden);
  inputs_ = workspace.take<float>(size.rows() * rows);
}

float* RecurrentLayer::rows_at(const RowSchedule& schedule, std::size_t t) const {
  if (t >= schedule.window_begin()) return window_ + schedule.offset(t) * layout_.stride;
  // Dividing would show in the steps of small networks.
  const std::size_t place = together_ == 1 ? t % 2 : t % (together_ + 1);
  return ring_.data() + place * max_rows_ * layout_.stride;
}

// Threads share the rows of each timestep, or the timesteps if there are fewer rows than threads.
void RecurrentLayer::gather_inputs(const Dataset& data, const RowSchedule& schedule,
                                   Range timesteps, const Team& team) const {
  const bool by_rows = schedule.rows() >= static_cast<std::size_t>(team.size());
  const Team rows_team = by_rows ? team : Team();
  const Team steps_team = by_rows ? Team() : team;
  const Range steps = share(timesteps.size(), steps_team.index(), steps_team.size());
  for (std::size_t t = timesteps.begin + steps.begin; t < timesteps.begin + steps.end; ++t) {
    const Range rows = share(schedule.active(t), rows_team.index(), rows_team.size());
    float* row = rows_at(schedule, t) + rows.begin * layout_.stride;
    for (std::size_t n = rows.begin; n < rows.end; ++n, row += layout_.stride) {
      const std::size_t own_t = t - schedule.start(n);
      const float* x = data.sequence(schedule.member(n)).data() + own_t * size_.inputs;
      std::copy_n(x, size_.inputs, row + layout_.input);
      if (own_t == 0) std::fill_n(row + layout_.state, size_.hidden, 0.0f);
    }
  }
}

// States become part of the next rows, the last ones are the final ones of all sequences.
Timestep RecurrentLayer::timestep(const RowSchedule& schedule, std::size_t t) const {
  const std::size_t count = schedule.active(t);
  const float* z = rows_at(schedule, t);
  if (t + 1 == schedule.steps()) {
    return {count, z, finals() + final_layout_.state, final_layout_.stride};
  }
  return {count, z, rows_at(schedule, t + 1) + layout_.state, layout_.stride};
}

void RecurrentLayer::add_inputs(const RowSchedule& schedule, const PackedLayer& weights,
                                Range timesteps, const Team& team) {
  const Range panels = share(weights.panels(), team.index(), team.size());
  for (std::size_t panel = panels.begin; panel < panels.end; ++panel) {
    for (std::size_t t = timesteps.begin; t < timesteps.end; ++t) {
      weights.add_inputs(timestep(schedule, t), panel);
    }
  }
}

// Inputs are gathered during the step before those that they are for, so that one barrier per
// timestep is enough.
void RecurrentLayer::forward(const Dataset& data, const RowSchedule& schedule,
                             const PackedLayer& weights, const Team& team) {
  const std::size_t steps = schedule.steps();
  const auto block_from = [&](std::size_t t) { return Range{t, std::min(t + together_, steps)}; };
  const SumsFrom start = together_ > 1 ? SumsFrom::inputs : SumsFrom::bias;
  const TimestepProduct step = weights.step(layout_.stride, start, team);
  const TimestepProduct last_step = weights.step(final_layout_.stride, start, team);
  gather_inputs(data, schedule, block_from(0), team);
  team.barrier();
  for (Range block = block_from(0); block.begin < block.end; block = block_from(block.end)) {
    if (together_ > 1) add_inputs(schedule, weights, block, team);
    for (std::size_t t = block.begin; t < block.end; ++t) {
      if (t + 1 == block.end) gather_inputs(data, schedule, block_from(block.end), team);
      (t + 1 < steps ? step : last_step).run(timestep(schedule, t));
      team.barrier();
    }
  }
}

// The timesteps before `end` whose deltas are kept together.
Range RecurrentLayer::block_before(const RowSchedule& schedule, std::size_t end) const {
  const std::size_t depth =
      std::max<std::size_t>(1, gradient_depth(size_.hidden) / schedule.rows());
  return {end - std::min(end - schedule.window_begin(), depth), end};
}

PackedGemm RecurrentLayer::last_deltas(const RowSchedule& schedule) const {
  const std::size_t steps = schedule.steps();
  return {.m = schedule.rows(),
          .c = deltas_at(schedule, steps - 1, block_before(schedule, steps)),
          .ldc = delta_stride_,
          .epilogue = size_.cell->fused_gradient,
          .h = finals() + final_layout_.state,
          .ldh = final_layout_.stride};
}

void RecurrentLayer::backward(const RowSchedule& schedule, const PackedLayer& weights,
                              const Team& team) {
  const Range cleared = share(gradient_.size(), team.index(), team.size());
  std::fill_n(gradient_.data() + cleared.begin, cleared.size(), 0.0f);
  const PackedGemmPlan product = weights.step_back(delta_stride_, team);
  for (Range block = block_before(schedule, schedule.steps()); block.size() > 0;
       block = block_before(schedule, block.begin)) {
    for (std::size_t t = block.end; t-- > block.begin;) {
      delta_step(schedule, product, t, block);
      team.barrier();
    }
    accumulate_weights(schedule, block, team);
    if (team.index() == 0) {
      const std::size_t first_deltas = schedule.active(block.begin) * delta_stride_;
      std::copy_n(deltas_.data(), first_deltas, next_deltas_.data());
    }
    team.barrier();
  }
}

// delta_t = (delta_{t+1} Wh^T) * f'(h_t), a thread's share of the columns. Of the last timestep the
// caller has left the product, or where f' is fused the deltas.
void RecurrentLayer::delta_step(const RowSchedule& schedule, const PackedGemmPlan& product,
                                std::size_t t, Range block) {
  const Timestep step = timestep(schedule, t);
  float* deltas = deltas_at(schedule, t, block);
  if (t + 1 < schedule.steps()) {
    const bool is_next_block = t + 1 == block.end;
    const float* next = is_next_block ? next_deltas_.data() : deltas_at(schedule, t + 1, block);
    product.run(step.count, next, nullptr, deltas, step.h);
  }
  if (size_.cell->backward == nullptr) return;
  const Range columns = product.columns();
  size_.cell->backward({deltas + columns.begin, step.count, columns.size(), delta_stride_},
                       step.h + columns.begin, step.ldh);
}

// [db; dWx; dWh] += [1, x, h]^T delta over the timesteps of a block at once.
void RecurrentLayer::accumulate_weights(const RowSchedule& schedule, Range block,
                                        const Team& team) {
  const Range rows = share(size_.rows(), team.index(), team.size());
  const std::size_t depth = schedule.offset(block.end) - schedule.offset(block.begin);
  const float* z = rows_at(schedule, block.begin) + layout_.one;
  if (!packs_factors(size_)) {
    gemm_accumulate_transposed(size_.hidden, depth, z, layout_.stride, deltas_.data(),
                               delta_stride_, gradient_.data(), delta_stride_, rows.begin,
                               rows.end);
    return;
  }
  pack_share(packed_deltas_, Transpose::no, deltas_.data(), delta_stride_, team);
  float* own = inputs_.data() + rows.begin * depth;
  transpose(depth, rows.size(), z + rows.begin, layout_.stride, own, depth);
  team.barrier();
  float* gradient = gradient_.data() + rows.begin * delta_stride_;
  const PackedGemm g{.m = rows.size(),
                     .a = own,
                     .lda = depth,
                     .start = gradient,
                     .start_stride = delta_stride_,
                     .c = gradient,
                     .ldc = delta_stride_};
  gemm_packed(g, packed_deltas_, {.last_k = depth});
}

float* RecurrentLayer::deltas_at(const RowSchedule& schedule, std::size_t t, Range block) const {
  return deltas_.data() + (schedule.offset(t) - schedule.offset(block.begin)) * delta_stride_;
}

}  // namespace lockstep
