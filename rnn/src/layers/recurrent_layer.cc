#include "layers/recurrent_layer.h"

#include <algorithm>

#include "definition.h"
#include "lockstep/backend.h"
#include "lockstep/detail/useful_threads.h"
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

// Whole vectors of the longest, so that no thread's share has more partial ones than the whole.
Range units_of(const Team& team, std::size_t hidden) {
  const Range vectors = share(round_up(hidden) / kAlignedColumns, team.index(), team.size());
  return {std::min(vectors.begin * kAlignedColumns, hidden),
          std::min(vectors.end * kAlignedColumns, hidden)};
}

// Packs this thread's share of the panels of a matrix.
void pack_share(PackedMatrix& packed, Transpose transpose, const float* b, std::size_t ldb,
                const Team& team) {
  const Range mine = panels_of(team, packed);
  packed.pack_panels(transpose, b, ldb, mine.begin, mine.end);
}

}  // namespace

int useful_threads(const LayerSize& size, std::size_t timesteps, std::size_t shares, int threads) {
  const double work = static_cast<double>(timesteps) * static_cast<double>(size.weights());
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

PackedWeights::PackedWeights(Workspace& workspace, std::size_t k, std::size_t units,
                             std::size_t back)
    : forward(workspace.take_packed(k, units)) {
  if (back > 0) backward = workspace.take_packed(units, back);
}

void PackedWeights::pack(const float* weights, const Team& team) {
  const std::size_t units = forward.n();
  pack_share(forward, Transpose::no, weights, units, team);
  if (backward.panels() == 0) return;
  const float* last_rows = weights + (forward.k() - backward.n()) * units;
  pack_share(backward, Transpose::yes, last_rows, units, team);
}

PackedLayer::PackedLayer(Workspace& workspace, const LayerSize& layer, Purpose purpose)
    : size(layer),
      fused(active_backend().fused),
      bias(workspace.take<float>(size.sums())),
      weights(workspace, size.cell->has_one_product() ? size.inputs + size.hidden : size.hidden,
              size.state_columns().size(), purpose == Purpose::training ? size.hidden : 0) {
  if (size.cell->has_one_product()) return;
  inputs = workspace.take_packed(size.inputs, size.input_columns().size());
}

void PackedLayer::pack(std::span<const float> parameters, const Team& team) {
  if (team.index() == 0) std::copy_n(parameters.begin(), bias.size(), bias.begin());
  const float* wx = parameters.data() + bias.size();
  if (size.cell->has_one_product()) return weights.pack(wx, team);
  const std::size_t columns = size.input_columns().size();
  pack_share(inputs, Transpose::no, wx, columns, team);
  weights.pack(wx + size.inputs * columns, team);
}

LayerStep PackedLayer::step(std::size_t stride, SumsFrom start, const Team& team) const {
  const RowLayout layout = layout_of(size);
  const Range panels = panels_of(team, weights.forward);
  const bool has_inputs = start == SumsFrom::inputs || !size.cell->has_one_product();
  const bool adds_inputs = has_inputs && start == SumsFrom::bias;
  const PackedGemm g{.lda = layout.stride,
                     .start_stride = has_inputs ? stride : 0,
                     .ldc = stride,
                     .epilogue = size.cell->fused};
  const PackedGemmPlan plan(g, weights.forward,
                            {.first_panel = panels.begin,
                             .last_panel = panels.end,
                             .first_k = has_inputs ? weights.forward.k() - size.hidden : 0});
  return {.layer = this,
          .product = plan,
          .first_k = has_inputs ? layout.state : layout.input,
          .first_sum = size.state_columns().begin,
          .bias = has_inputs ? nullptr : bias.data(),
          .adds_inputs = adds_inputs,
          .inputs = adds_inputs ? input_step(stride, panels_of(team, input_weights())) : plan,
          .passes = size.cell->forward != nullptr};
}

void LayerStep::begin_sums(const Timestep& t, const Team& team) const {
  layer->add_inputs(inputs, t);
  layer->begin_other_sums(t, team);
  team.barrier();
}

void LayerStep::pass(const Timestep& t, const Team& team) const {
  const Cell& cell = *layer->size.cell;
  if (!cell.is_in_place()) team.barrier();
  cell.forward(layer->cell_step(
      t, cell.is_in_place() ? product.columns() : units_of(team, layer->size.hidden)));
}

CellStep PackedLayer::cell_step(const Timestep& t, Range units) const {
  const RowLayout layout = layout_of(size);
  return {.rows = t.count,
          .units_in_all = size.hidden,
          .units = units,
          .sums = t.sums,
          .sum_stride = t.sum_stride,
          .before = t.z + layout.state,
          .before_stride = layout.stride,
          .after = t.after,
          .after_stride = t.after_stride};
}

PackedGemmPlan PackedLayer::input_step(std::size_t stride, Range panels) const {
  const PackedGemm g{.lda = layout_of(size).stride, .ldc = stride};
  return {g,
          input_weights(),
          {.first_panel = panels.begin, .last_panel = panels.end, .last_k = size.inputs}};
}

void PackedLayer::begin_other_sums(const Timestep& t, const Team& team) const {
  const std::size_t first = size.input_columns().end;
  const Range mine = share(t.count, team.index(), team.size());
  for (std::size_t i = mine.begin; i < mine.end; ++i) {
    std::copy_n(bias.data() + first, bias.size() - first, t.sums + i * t.sum_stride + first);
  }
}

PackedGemmPlan PackedLayer::step_back(std::size_t stride, std::size_t ldc, const Team& team) const {
  const Range panels = panels_of(team, weights.backward);
  const PackedGemm g{.lda = stride,
                     .start_stride = size.cell->passes_gradients ? ldc : 0,
                     .ldc = ldc,
                     .epilogue = size.cell->fused_gradient,
                     .ldh = layout_of(size).stride};
  return {g, weights.backward, {.first_panel = panels.begin, .last_panel = panels.end}};
}

RecurrentLayer::RecurrentLayer(Workspace& workspace, const LayerSize& size, const Limits& limits)
    : size_(size),
      layout_(layout_of(size)),
      final_layout_(final_layout_of(size)),
      max_rows_(limits.rows),
      together_(limits.together),
      finals_(take_rows(workspace, final_layout_, limits.rows)),
      delta_stride_(round_up(size.sums())) {
  if (limits.steps > limits.window) {
    ring_ = take_rows(workspace, layout_, (together_ + 1) * limits.rows);
  }
  if (limits.purpose() == Purpose::inference) return;
  const std::size_t rows = delta_rows(size, limits);
  next_deltas_ = workspace.take<float>(limits.rows * delta_stride_);
  deltas_ = workspace.take<float>(rows * delta_stride_);
  gradient_ = workspace.take<float>(size.rows() * delta_stride_);
  if (!size.cell->is_in_place()) {
    gradient_of_states_stride_ = round_up(size.state());
    gradients_of_states_ = workspace.take<float>(limits.rows * gradient_of_states_stride_);
  }
  if (!packs_factors(size)) return;
  packed_deltas_ = workspace.take_packed(rows, size.input_columns().size());
  if (!size.cell->has_one_product()) {
    packed_state_deltas_ = workspace.take_packed(rows, size.state_columns().size());
  }
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
      if (own_t == 0) std::fill_n(row + layout_.state, size_.state(), 0.0f);
    }
  }
}

// States become part of the next rows, the last ones are the final ones of all sequences. Inline: a
// small network waits for what goes by memory.
[[gnu::always_inline]] inline Timestep RecurrentLayer::timestep(const RowSchedule& schedule,
                                                                std::size_t t) const {
  const std::size_t count = schedule.active(t);
  float* z = rows_at(schedule, t);
  const bool is_last = t + 1 == schedule.steps();
  float* after =
      is_last ? finals() + final_layout_.state : rows_at(schedule, t + 1) + layout_.state;
  const std::size_t after_stride = is_last ? final_layout_.stride : layout_.stride;
  if (size_.cell->is_in_place()) return {count, z, after, after_stride, after, after_stride};
  return {count, z, z + layout_.sums, layout_.stride, after, after_stride};
}

void RecurrentLayer::add_inputs(const RowSchedule& schedule, const PackedLayer& weights,
                                Range timesteps, const Team& team) {
  const Range panels = panels_of(team, weights.input_weights());
  for (std::size_t panel = panels.begin; panel < panels.end; ++panel) {
    for (std::size_t t = timesteps.begin; t < timesteps.end; ++t) {
      const Timestep step = timestep(schedule, t);
      weights.add_inputs(weights.input_step(step.sum_stride, {panel, panel + 1}), step);
    }
  }
  if (size_.cell->has_one_product()) return;
  for (std::size_t t = timesteps.begin; t < timesteps.end; ++t) {
    weights.begin_other_sums(timestep(schedule, t), team);
  }
  team.barrier();
}

// Inputs are gathered during the step before those that they are for, so that one barrier per
// timestep is enough.
void RecurrentLayer::forward(const Dataset& data, const RowSchedule& schedule,
                             const PackedLayer& weights, const Team& team) {
  const std::size_t steps = schedule.steps();
  const auto block_from = [&](std::size_t t) { return Range{t, std::min(t + together_, steps)}; };
  const SumsFrom start = together_ > 1 ? SumsFrom::inputs : SumsFrom::bias;
  const LayerStep step = weights.step(layout_.stride, start, team);
  const bool in_finals = size_.cell->is_in_place();
  const LayerStep last_step =
      weights.step(in_finals ? final_layout_.stride : layout_.stride, start, team);
  gather_inputs(data, schedule, block_from(0), team);
  team.barrier();
  for (Range block = block_from(0); block.begin < block.end; block = block_from(block.end)) {
    if (together_ > 1) add_inputs(schedule, weights, block, team);
    for (std::size_t t = block.begin; t < block.end; ++t) {
      if (t + 1 == block.end) gather_inputs(data, schedule, block_from(block.end), team);
      (t + 1 < steps ? step : last_step).run(timestep(schedule, t), team);
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
  const bool in_place = size_.cell->is_in_place();
  return {.m = schedule.rows(),
          .c = in_place ? deltas_at(schedule, steps - 1, block_before(schedule, steps))
                        : gradients_of_states_.data(),
          .ldc = in_place ? delta_stride_ : gradient_of_states_stride_,
          .epilogue = size_.cell->fused_gradient,
          .h = finals() + final_layout_.state,
          .ldh = final_layout_.stride};
}

void RecurrentLayer::backward(const RowSchedule& schedule, const PackedLayer& weights,
                              const Team& team) {
  const Range cleared = share(gradient_.size(), team.index(), team.size());
  std::fill_n(gradient_.data() + cleared.begin, cleared.size(), 0.0f);
  const PackedGemmPlan product = weights.step_back(
      delta_stride_, size_.cell->is_in_place() ? delta_stride_ : gradient_of_states_stride_, team);
  for (Range block = block_before(schedule, schedule.steps()); block.size() > 0;
       block = block_before(schedule, block.begin)) {
    for (std::size_t t = block.end; t-- > block.begin;) {
      delta_step(schedule, weights, product, t, block);
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

// Gradients of h_t, delta_{t+1} Wh^T and what passed by the products, to the deltas of t: a
// thread's share of the units. Of the last timestep the caller has left the gradients, or where the
// derivative is fused the deltas.
void RecurrentLayer::delta_step(const RowSchedule& schedule, const PackedLayer& weights,
                                const PackedGemmPlan& product, std::size_t t, Range block) {
  const Cell& cell = *size_.cell;
  const Timestep step = timestep(schedule, t);
  float* deltas = deltas_at(schedule, t, block);
  float* gradients = cell.is_in_place() ? deltas : gradients_of_states_.data();
  if (t + 1 < schedule.steps()) {
    const bool is_next_block = t + 1 == block.end;
    const float* next = is_next_block ? next_deltas_.data() : deltas_at(schedule, t + 1, block);
    product.run(step.count, next + size_.state_columns().begin,
                cell.passes_gradients ? gradients : nullptr, gradients, step.after);
  } else if (cell.has_c) {
    clear_gradients_of_c(step.count, product.columns());
  }
  if (cell.backward == nullptr) return;
  cell.backward({.forward = weights.cell_step(step, product.columns()),
                 .gradients = gradients,
                 .gradient_stride = gradient_of_states_stride_,
                 .deltas = deltas,
                 .delta_stride = delta_stride_});
}

void RecurrentLayer::clear_gradients_of_c(std::size_t rows, Range units) const {
  for (std::size_t i = 0; i < rows; ++i) {
    float* c = gradients_of_states_.data() + i * gradient_of_states_stride_ + size_.hidden;
    std::fill(c + units.begin, c + units.end, 0.0f);
  }
}

// [db; dWx; dWh] += [1, x, h]^T delta over the timesteps of a block at once.
void RecurrentLayer::accumulate_weights(const RowSchedule& schedule, Range block,
                                        const Team& team) {
  const std::size_t depth = schedule.offset(block.end) - schedule.offset(block.begin);
  const float* z = rows_at(schedule, block.begin) + layout_.one;
  const auto accumulate = [&](Range rows, Range columns) {
    gemm_accumulate_transposed(
        columns.size(), depth, z, layout_.stride, deltas_.data() + columns.begin, delta_stride_,
        gradient_.data() + columns.begin, delta_stride_, rows.begin, rows.end);
  };
  const Range rows = share(size_.rows(), team.index(), team.size());
  if (packs_factors(size_)) {
    accumulate_packed(depth, z, team);
  } else if (size_.cell->has_one_product()) {
    return accumulate(rows, size_.input_columns());
  } else {
    const std::size_t first_h = 1 + size_.inputs;
    accumulate({rows.begin, std::min(rows.end, first_h)}, size_.input_columns());
    accumulate({std::max(rows.begin, first_h), rows.end}, size_.state_columns());
  }
  const Range others{size_.input_columns().end, size_.sums()};
  if (rows.begin == 0 && others.size() > 0) accumulate({0, 1}, others);
}

// The same where the weights are large.
void RecurrentLayer::accumulate_packed(std::size_t depth, const float* z, const Team& team) {
  const bool has_one_product = size_.cell->has_one_product();
  const float* deltas = deltas_.data();
  pack_share(packed_deltas_, Transpose::no, deltas + size_.input_columns().begin, delta_stride_,
             team);
  if (!has_one_product) {
    pack_share(packed_state_deltas_, Transpose::no, deltas + size_.state_columns().begin,
               delta_stride_, team);
  }
  const Range rows = share(size_.rows(), team.index(), team.size());
  float* own = inputs_.data() + rows.begin * depth;
  transpose(depth, rows.size(), z + rows.begin, layout_.stride, own, depth);
  team.barrier();
  const auto multiply = [&](Range some, std::size_t column, const PackedMatrix& packed) {
    if (some.begin >= some.end) return;
    float* gradient = gradient_.data() + some.begin * delta_stride_ + column;
    const PackedGemm g{.m = some.size(),
                       .a = inputs_.data() + some.begin * depth,
                       .lda = depth,
                       .start = gradient,
                       .start_stride = delta_stride_,
                       .c = gradient,
                       .ldc = delta_stride_};
    gemm_packed(g, packed, {.last_k = depth});
  };
  if (has_one_product) return multiply(rows, 0, packed_deltas_);
  const std::size_t first_h = 1 + size_.inputs;
  multiply({rows.begin, std::min(rows.end, first_h)}, size_.input_columns().begin, packed_deltas_);
  multiply({std::max(rows.begin, first_h), rows.end}, size_.state_columns().begin,
           packed_state_deltas_);
}

float* RecurrentLayer::deltas_at(const RowSchedule& schedule, std::size_t t, Range block) const {
  return deltas_.data() + (schedule.offset(t) - schedule.offset(block.begin)) * delta_stride_;
}

}  // namespace lockstep
