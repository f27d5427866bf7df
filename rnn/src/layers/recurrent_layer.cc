#include "layers/recurrent_layer.h"

#include <algorithm>

#include "definition.h"
#include "layers/layer_links.h"
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

// Inline: g++ takes a function that only prefetches for one without effect, and drops its calls.
[[gnu::always_inline]] inline void prefetch(const float* first, std::size_t floats,
                                            RowsAhead::Use use) {
  constexpr std::size_t kLine = 64 / sizeof(float);
  if (use == RowsAhead::Use::read) {
    for (std::size_t i = 0; i < floats; i += kLine) __builtin_prefetch(first + i, 0, 2);
  } else {
    for (std::size_t i = 0; i < floats; i += kLine) __builtin_prefetch(first + i, 1);
  }
}

}  // namespace

int useful_threads(std::size_t weights, std::size_t timesteps, std::size_t shares, int threads) {
  const double work = static_cast<double>(timesteps) * static_cast<double>(weights);
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

std::size_t delta_steps(const LayerSize& size, std::size_t rows) {
  return std::max<std::size_t>(1, gradient_depth(size.hidden) / rows);
}

std::span<float> take_rows(Workspace& workspace, const RowLayout& layout, std::size_t count) {
  const std::span<float> rows = workspace.take<float>(count * layout.stride);
  for (std::size_t i = layout.one; i < rows.size(); i += layout.stride) rows[i] = 1.0f;
  return rows;
}

void pack_share(PackedMatrix& packed, Transpose transpose, const float* b, std::size_t ldb,
                const Team& team) {
  const Range mine = panels_of(team, packed);
  packed.pack_panels(transpose, b, ldb, mine.begin, mine.end);
}

PackedLayer::PackedLayer(Workspace& workspace, const LayerSize& layer, Purpose purpose)
    : size(layer),
      layout(layout_of(layer, purpose)),
      fused(active_backend().fused),
      bias(workspace.take<float>(size.sums())),
      weights(workspace.take_packed(
          size.cell->has_one_product() ? size.inputs + size.hidden : size.hidden,
          size.state_columns().size())) {
  if (!size.cell->has_one_product()) {
    inputs = workspace.take_packed(size.inputs, size.input_columns().size());
  }
  if (purpose == Purpose::inference) return;
  state_weights_back = workspace.take_packed(size.state_columns().size(), size.hidden);
  if (size.layer == 0) return;
  input_weights_back = workspace.take_packed(size.input_columns().size(), size.inputs);
}

void PackedLayer::pack(std::span<const float> parameters, const Team& team) {
  if (team.index() == 0) std::copy_n(parameters.begin(), bias.size(), bias.begin());
  const float* wx = parameters.data() + bias.size();
  const std::size_t of_inputs = size.input_columns().size();
  const std::size_t of_states = size.state_columns().size();
  const float* wh = wx + size.inputs * of_inputs;
  if (size.cell->has_one_product()) {
    pack_share(weights, Transpose::no, wx, of_states, team);
  } else {
    pack_share(inputs, Transpose::no, wx, of_inputs, team);
    pack_share(weights, Transpose::no, wh, of_states, team);
  }
  if (state_weights_back.panels() > 0) {
    pack_share(state_weights_back, Transpose::yes, wh, of_states, team);
  }
  if (input_weights_back.panels() > 0) {
    pack_share(input_weights_back, Transpose::yes, wx, of_inputs, team);
  }
}

LayerStep PackedLayer::step(std::size_t stride, SumsFrom start, const Team& team) const {
  const Range panels = panels_of(team, weights);
  const bool has_inputs = start == SumsFrom::inputs || !size.cell->has_one_product();
  const bool adds_inputs = has_inputs && start == SumsFrom::bias;
  const PackedGemm g{.lda = layout.stride,
                     .start_stride = has_inputs ? stride : 0,
                     .ldc = stride,
                     .epilogue = size.cell->fused};
  const PackedGemmPlan plan(g, weights,
                            {.first_panel = panels.begin,
                             .last_panel = panels.end,
                             .first_k = has_inputs ? weights.k() - size.hidden : 0});
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

void LayerStep::pass(const Timestep& t, const Team& team, const RowsAhead& ahead) const {
  const Cell& cell = *layer->size.cell;
  if (!cell.is_in_place()) team.barrier();
  const Range units = cell.is_in_place() ? product.columns() : units_of(team, layer->size.hidden);
  layer->pass_rows(t, ahead, [&](const Timestep& part, std::size_t) {
    cell.forward(layer->cell_step(part, units));
  });
}

CellStep PackedLayer::cell_step(const Timestep& t, Range units) const {
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

template <class Pass>
void PackedLayer::pass_rows(const Timestep& t, const RowsAhead& ahead, const Pass& pass) const {
  if (ahead.rows == nullptr) return pass(t, 0);
  const std::size_t most = std::max<std::size_t>(1, kFloatsPrefetched / layout.stride);
  for (std::size_t row = 0; row < t.count; row += most) {
    Timestep part = t;
    part.count = std::min(most, t.count - row);
    part.z += row * layout.stride;
    part.sums += row * t.sum_stride;
    part.after += row * t.after_stride;
    prefetch(ahead.rows + row * layout.stride, part.count * layout.stride, ahead.use);
    pass(part, row);
  }
}

PackedGemmPlan PackedLayer::input_step(std::size_t stride, Range panels) const {
  const PackedGemm g{.lda = layout.stride, .ldc = stride};
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

PackedGemmPlan PackedLayer::step_back(std::size_t stride, std::size_t ldc, bool adds,
                                      std::size_t ldh, const Team& team) const {
  const Range panels = panels_of(team, state_weights_back);
  const PackedGemm g{.lda = stride,
                     .start_stride = adds ? ldc : 0,
                     .ldc = ldc,
                     .epilogue = size.cell->fused_gradient,
                     .ldh = ldh};
  return {g, state_weights_back, {.first_panel = panels.begin, .last_panel = panels.end}};
}

WindowMemory::WindowMemory(Workspace& workspace, const LayerSize& size, Purpose purpose,
                           const WindowTimesteps& timesteps, bool hands_up, bool hands_down)
    : rows(take_rows(workspace, layout_of(size, purpose), timesteps.kept)),
      outputs(workspace.take<float>(hands_up ? timesteps.all * size.hidden : 0)),
      has_all_gradients(hands_down) {
  if (purpose == Purpose::inference || size.layer == 0) return;
  const std::size_t count = hands_down ? timesteps.all : timesteps.kept;
  input_gradients = workspace.take<float>(count * round_up(size.inputs));
}

RecurrentLayer::RecurrentLayer(Workspace& workspace, const LayerSize& size, std::size_t block,
                               const Limits& limits)
    : size_(size),
      layout_(layout_of(size, limits.purpose)),
      final_layout_(final_layout_of(size)),
      max_rows_(limits.rows),
      ring_steps_(block + 1),
      together_(limits.together),
      input_gradient_stride_(round_up(size.inputs)),
      finals_(take_rows(workspace, final_layout_, limits.rows)),
      delta_stride_(round_up(size.sums())) {
  if (limits.steps > limits.window) {
    ring_ = take_rows(workspace, layout_, ring_steps_ * limits.rows);
  }
  if (limits.purpose == Purpose::inference) {
    if (size.cell->is_in_place()) return;
    sums_ = workspace.take<float>(together_ * limits.rows * delta_stride_);
    return;
  }
  const std::size_t rows = delta_rows(size, limits);
  next_deltas_ = workspace.take<float>(limits.rows * delta_stride_);
  deltas_ = workspace.take<float>(rows * delta_stride_);
  gradient_ = workspace.take<float>(size.rows() * delta_stride_);
  saved_ = workspace.take<float>(limits.saved_rows * size.state());
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

void RecurrentLayer::keep_window_in(const WindowMemory& memory, const FirstRows& first) {
  if (memory.rows.empty()) return;
  window_ = memory.rows.data() + first.of_kept * layout_.stride;
  if (!memory.outputs.empty()) outputs_ = memory.outputs.data() + first.of_all * size_.hidden;
  if (memory.input_gradients.empty()) return;
  has_all_gradients_ = memory.has_all_gradients;
  const std::size_t row = has_all_gradients_ ? first.of_all : first.of_kept;
  input_gradients_ = memory.input_gradients.data() + row * input_gradient_stride_;
}

float* RecurrentLayer::rows_at(const RowSchedule& schedule, std::size_t t) const {
  if (t >= schedule.window_begin() && window_ != nullptr) {
    return window_ + schedule.kept_offset(t) * layout_.stride;
  }
  // Dividing would show in the steps of small networks.
  const std::size_t place = ring_steps_ == 2 ? t % 2 : t % ring_steps_;
  return ring_.data() + place * max_rows_ * layout_.stride;
}

const float* RecurrentLayer::output(const RowSchedule& schedule, std::size_t n,
                                    std::size_t own) const {
  const std::size_t t = time_of(schedule, n, own);
  if (outputs_ != nullptr) return outputs_ + (schedule.offset(t) + n) * size_.hidden;
  return state_after(schedule, n, t);
}

const float* RecurrentLayer::state_after(const RowSchedule& schedule, std::size_t n,
                                         std::size_t t) const {
  if (t + 1 == schedule.steps()) return final_state(n);
  return rows_at(schedule, t + 1) + n * layout_.stride + layout_.state;
}

float* RecurrentLayer::input_gradient(const RowSchedule& schedule, std::size_t n,
                                      std::size_t own) const {
  const std::size_t row = input_gradient_row(schedule, time_of(schedule, n, own)) + n;
  return input_gradients_ + row * input_gradient_stride_;
}

// Threads share the rows of each timestep, or the timesteps if there are fewer rows than threads.
void RecurrentLayer::gather_inputs(const LayerInputs& inputs, const RowSchedule& schedule,
                                   Range timesteps, const Team& team) const {
  std::optional<detail::FloatingPointScope> scope;
  if (const auto mode = inputs.mode()) scope.emplace(*mode);
  const bool by_rows = schedule.rows() >= static_cast<std::size_t>(team.size());
  const Team rows_team = by_rows ? team : Team();
  const Team steps_team = by_rows ? Team() : team;
  const Range steps = share(timesteps.size(), steps_team.index(), steps_team.size());
  for (std::size_t t = timesteps.begin + steps.begin; t < timesteps.begin + steps.end; ++t) {
    const Range rows = share(schedule.active(t), rows_team.index(), rows_team.size());
    float* row = rows_at(schedule, t) + rows.begin * layout_.stride;
    for (std::size_t n = rows.begin; n < rows.end; ++n, row += layout_.stride) {
      inputs.copy(schedule, n, own_time_of(schedule, n, t), row + layout_.input);
      if (t == schedule.start(n)) std::fill_n(row + layout_.state, size_.state(), 0.0f);
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
  if (sums_.empty()) return {count, z, z + layout_.sums, layout_.stride, after, after_stride};
  const std::size_t place = together_ == 1 ? 0 : t % together_;
  float* sums = sums_.data() + place * max_rows_ * delta_stride_;
  return {count, z, sums, delta_stride_, after, after_stride};
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
void RecurrentLayer::forward(const LayerInputs& inputs, const RowSchedule& schedule,
                             const PackedLayer& weights, Range timesteps, Run run,
                             const Team& team) {
  const auto block_from = [&](std::size_t t) {
    return Range{t, std::min(t + together_, timesteps.end)};
  };
  const SumsFrom start = together_ > 1 ? SumsFrom::inputs : SumsFrom::bias;
  const std::size_t sum_stride = sums_.empty() ? layout_.stride : delta_stride_;
  const LayerStep step = weights.step(sum_stride, start, team);
  const bool in_finals = size_.cell->is_in_place();
  const LayerStep last_step =
      weights.step(in_finals ? final_layout_.stride : sum_stride, start, team);
  // A cell with gates writes several times as many bytes as one without, which would gain nothing.
  const bool has_ahead = !size_.cell->is_in_place() && prefetches(schedule, team);
  gather_inputs(inputs, schedule, block_from(timesteps.begin), team);
  team.barrier();
  for (Range block = block_from(timesteps.begin); block.begin < block.end;
       block = block_from(block.end)) {
    if (together_ > 1) add_inputs(schedule, weights, block, team);
    for (std::size_t t = block.begin; t < block.end; ++t) {
      if (t + 1 == block.end) gather_inputs(inputs, schedule, block_from(block.end), team);
      const Timestep now = timestep(schedule, t);
      const LayerStep& todo = t + 1 < schedule.steps() ? step : last_step;
      todo.run(now, team, has_ahead ? rows_after(schedule, t, timesteps.end) : RowsAhead());
      team.barrier();
      if (!pool_.empty() && run == Run::first) pool(schedule, t, now, team);
    }
  }
}

void RecurrentLayer::save_states(const RowSchedule& schedule, std::size_t segment,
                                 const Team& team) const {
  const std::size_t t = schedule.segment(segment).begin;
  const Range rows = share(schedule.carried(t), team.index(), team.size());
  const float* states = rows_at(schedule, t) + layout_.state;
  for (std::size_t n = rows.begin; n < rows.end; ++n) {
    std::copy_n(states + n * layout_.stride, size_.state(), saved_state(schedule, segment, n));
  }
}

void RecurrentLayer::restore_states(const RowSchedule& schedule, std::size_t segment,
                                    const Team& team) const {
  const std::size_t t = schedule.segment(segment).begin;
  const Range rows = share(schedule.carried(t), team.index(), team.size());
  float* states = rows_at(schedule, t) + layout_.state;
  for (std::size_t n = rows.begin; n < rows.end; ++n) {
    std::copy_n(saved_state(schedule, segment, n), size_.state(), states + n * layout_.stride);
  }
}

void RecurrentLayer::hand_up(const RowSchedule& schedule, const Team& team) const {
  if (outputs_ == nullptr) return;
  const Range segment = schedule.segment(schedule.kept());
  const Range mine = share(segment.size(), team.index(), team.size());
  for (std::size_t t = segment.begin + mine.begin; t < segment.begin + mine.end; ++t) {
    float* row = outputs_ + schedule.offset(t) * size_.hidden;
    for (std::size_t n = 0; n < schedule.active(t); ++n, row += size_.hidden) {
      std::copy_n(state_after(schedule, n, t), size_.hidden, row);
    }
  }
}

float* RecurrentLayer::saved_state(const RowSchedule& schedule, std::size_t segment,
                                   std::size_t n) const {
  return saved_.data() + (segment * schedule.rows() + n) * size_.state();
}

// A thread's share of the rows, those that OutputLayer::forward will ask it for.
void RecurrentLayer::pool(const RowSchedule& schedule, std::size_t t, const Timestep& step,
                          const Team& team) const {
  const Range rows = share(schedule.rows(), team.index(), team.size());
  for (std::size_t n = rows.begin; n < std::min(rows.end, step.count); ++n) {
    pool_.add(n, own_time_of(schedule, n, t), t == schedule.start(n),
              step.after + n * step.after_stride);
  }
}

// The timesteps before `end` whose deltas are kept together.
Range RecurrentLayer::block_before(const RowSchedule& schedule, std::size_t end) const {
  const std::size_t depth = delta_steps(size_, schedule.rows());
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

void RecurrentLayer::backward(const LayerGradients& above, const RowSchedule& schedule,
                              const PackedLayer& weights, const Team& team) {
  const Range segment = schedule.segment(schedule.kept());
  const bool is_last = segment.end == schedule.steps();
  if (is_last) clear_gradient(team);
  const auto step_back = [&](std::size_t ldh) {
    return weights.step_back(delta_stride_,
                             size_.cell->is_in_place() ? delta_stride_ : gradient_of_states_stride_,
                             size_.cell->passes_gradients || !above.empty(), ldh, team);
  };
  const PackedGemmPlan product = step_back(layout_.stride);
  const PackedGemmPlan last_product = step_back(final_layout_.stride);
  const bool has_ahead = prefetches(schedule, team);
  if (is_last && !above.empty()) clear_next_deltas(schedule.rows(), team);
  for (Range block{segment.end, segment.end}; block.begin > segment.begin;) {
    block = block_before(schedule, block.begin);
    for (std::size_t t = block.end; t-- > block.begin;) {
      delta_step(above, schedule, weights, t + 1 < schedule.steps() ? product : last_product, t,
                 block, has_ahead ? rows_before(schedule, t) : RowsAhead());
      team.barrier();
    }
    accumulate_weights(schedule, block, team);
    if (input_gradients_ != nullptr) find_input_gradients(schedule, weights, block, team);
    if (team.index() == 0) {
      const std::size_t first_deltas = schedule.active(block.begin) * delta_stride_;
      std::copy_n(deltas_.data(), first_deltas, next_deltas_.data());
    }
    team.barrier();
  }
}

// Whether one thread has states that come back from beyond its caches, in timesteps of few enough
// bytes. Hardware prefetchers stop at the end of a page, and follow long rows well enough.
bool RecurrentLayer::prefetches(const RowSchedule& schedule, const Team& team) const {
  const Range segment = schedule.segment(schedule.kept());
  const std::size_t rows = schedule.offset(segment.end) - schedule.offset(segment.begin);
  const std::size_t row_bytes = layout_.stride * sizeof(float);
  return team.size() == 1 && rows * row_bytes > kCachedStates &&
         schedule.rows() * row_bytes <= kLargestStepAhead;
}

RowsAhead RecurrentLayer::rows_after(const RowSchedule& schedule, std::size_t t,
                                     std::size_t end) const {
  const std::size_t ahead = std::max(t + kStepsAhead, schedule.window_begin());
  if (ahead >= end) return {};
  return {rows_at(schedule, ahead), RowsAhead::Use::write};
}

RowsAhead RecurrentLayer::rows_before(const RowSchedule& schedule, std::size_t t) const {
  const std::size_t bytes = schedule.active(t) * layout_.stride * sizeof(float);
  const std::size_t ahead = 1 + kStateBytesAhead / bytes;
  if (t < schedule.segment(schedule.kept()).begin + ahead) return {};
  return {rows_at(schedule, t - ahead), RowsAhead::Use::read};
}

void RecurrentLayer::clear_gradient(const Team& team) {
  const Range cleared = share(gradient_.size(), team.index(), team.size());
  std::fill_n(gradient_.data() + cleared.begin, cleared.size(), 0.0f);
}

// Behind the last timestep there is none, so the gradients of its states are those from above.
// Where the derivative is fused, a product with zeros turns them into deltas.
void RecurrentLayer::clear_next_deltas(std::size_t rows, const Team& team) {
  if (size_.cell->fused_gradient == Epilogue::none) return;
  const Range cleared = share(rows * delta_stride_, team.index(), team.size());
  std::fill_n(next_deltas_.data() + cleared.begin, cleared.size(), 0.0f);
  team.barrier();
}

// Gradients of h_t, delta_{t+1} Wh^T, what passed by the products and what is from above, to the
// deltas of t: a thread's share of the units. Of the last timestep of the last layer the caller has
// left the gradients, or where the derivative is fused the deltas.
void RecurrentLayer::delta_step(const LayerGradients& above, const RowSchedule& schedule,
                                const PackedLayer& weights, const PackedGemmPlan& product,
                                std::size_t t, Range block, RowsAhead ahead) {
  const Cell& cell = *size_.cell;
  const Timestep step = timestep(schedule, t);
  if (ahead.rows != nullptr && cell.is_in_place()) {
    prefetch(ahead.rows, step.count * layout_.stride, ahead.use);
    ahead = {};
  }
  float* deltas = deltas_at(schedule, t, block);
  float* gradients = cell.is_in_place() ? deltas : gradients_of_states_.data();
  const bool is_last = t + 1 == schedule.steps();
  const bool is_from_above = !above.empty();
  const bool has_passed = !is_last && cell.passes_gradients;
  const bool multiplies = !is_last || (is_from_above && cell.fused_gradient != Epilogue::none);
  if (is_last && cell.has_c) clear_gradients_of_c(step.count, product.columns());
  if (is_from_above) add_gradients(above, schedule, t, product.columns(), has_passed, gradients);
  if (multiplies) {
    const bool is_next_block = t + 1 == block.end;
    const float* next = is_next_block ? next_deltas_.data() : deltas_at(schedule, t + 1, block);
    product.run(step.count, next + size_.state_columns().begin,
                has_passed || is_from_above ? gradients : nullptr, gradients, step.after);
  }
  if (cell.backward == nullptr) return;
  weights.pass_rows(step, ahead, [&](const Timestep& part, std::size_t row) {
    cell.backward({.forward = weights.cell_step(part, product.columns()),
                   .gradients = gradients + row * gradient_of_states_stride_,
                   .gradient_stride = gradient_of_states_stride_,
                   .deltas = deltas + row * delta_stride_,
                   .delta_stride = delta_stride_});
  });
}

void RecurrentLayer::add_gradients(const LayerGradients& above, const RowSchedule& schedule,
                                   std::size_t t, Range units, bool adds, float* gradients) const {
  const std::size_t stride = size_.cell->is_in_place() ? delta_stride_ : gradient_of_states_stride_;
  for (std::size_t n = 0; n < schedule.active(t); ++n) {
    above.write(schedule, n, own_time_of(schedule, n, t), units, adds, gradients + n * stride);
  }
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
  // Of a team larger than the rows several shares begin with 0, and one has the row.
  if (rows.begin == 0 && rows.size() > 0 && others.size() > 0) accumulate({0, 1}, others);
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

// dx = delta Wx^T of a block of timesteps.
void RecurrentLayer::find_input_gradients(const RowSchedule& schedule, const PackedLayer& weights,
                                          Range block, const Team& team) const {
  const Range panels = panels_of(team, weights.input_weights_back);
  const std::size_t first = input_gradient_row(schedule, block.begin);
  gemm_packed({.m = schedule.offset(block.end) - schedule.offset(block.begin),
               .a = deltas_.data() + size_.input_columns().begin,
               .lda = delta_stride_,
               .c = input_gradients_ + first * input_gradient_stride_,
               .ldc = input_gradient_stride_},
              weights.input_weights_back, {.first_panel = panels.begin, .last_panel = panels.end});
}

std::array<MatrixView, 3> RecurrentLayer::gradients() const {
  const auto part = [this](std::size_t row, std::size_t rows, Range columns) {
    return MatrixView(gradient_.data() + row * delta_stride_ + columns.begin, rows, columns.size(),
                      delta_stride_);
  };
  return {part(0, 1, {0, size_.sums()}), part(1, size_.inputs, size_.input_columns()),
          part(1 + size_.inputs, size_.hidden, size_.state_columns())};
}

float* RecurrentLayer::deltas_at(const RowSchedule& schedule, std::size_t t, Range block) const {
  return deltas_.data() + (schedule.offset(t) - schedule.offset(block.begin)) * delta_stride_;
}

}  // namespace lockstep
