#include "forward.h"

#include <algorithm>

#include "lockstep/backend.h"

namespace lockstep {

namespace {

std::size_t weight_bytes(const RnnShape& shape) {
  return (shape.features + shape.hidden) * shape.hidden * sizeof(float);
}

}  // namespace

bool stays_in_cache(const RnnShape& shape) {
  constexpr std::size_t kResidentWeights = std::size_t{512} * 1024;
  return weight_bytes(shape) <= kResidentWeights;
}

int useful_threads(const RnnShape& shape, std::size_t timesteps, std::size_t shares, int threads) {
  // Multiply-adds that pay for one more thread: its wake-up and barriers take microseconds.
  constexpr double kWorkPerThread = 400e3;
  const double work = static_cast<double>(timesteps) *
                      static_cast<double>((shape.features + shape.hidden) * shape.hidden);
  const double useful = std::min(static_cast<double>(shares), 1 + work / kWorkPerThread);
  return std::min(threads, static_cast<int>(useful));
}

void pack_share(PackedMatrix& packed, Transpose transpose, const float* b, std::size_t ldb,
                const Team& team) {
  const Range mine = share(packed.panels(), team.index(), team.size());
  packed.pack_panels(transpose, b, ldb, mine.begin, mine.end);
}

PackedForward::PackedForward(const RnnShape& shape)
    : fused(active_backend().fused),
      recurrent(shape.features + shape.hidden, shape.hidden),
      output(shape.hidden, shape.classes),
      bias(shape.hidden),
      output_bias(shape.classes) {}

std::size_t PackedForward::bytes_for(const RnnShape& s) {
  return PackedMatrix::bytes_for(s.features + s.hidden, s.hidden) +
         PackedMatrix::bytes_for(s.hidden, s.classes) + (s.hidden + s.classes) * sizeof(float);
}

void PackedForward::pack(const RnnParameters& parameters, const Team& team) {
  pack_share(recurrent, Transpose::no, parameters.input_weights(), parameters.shape.hidden, team);
  pack_share(output, Transpose::no, parameters.output_weights(), parameters.shape.classes, team);
  if (team.index() == 0) {
    std::copy_n(parameters.bias(), bias.size(), bias.begin());
    std::copy_n(parameters.output_bias(), output_bias.size(), output_bias.begin());
  }
}

// Where weights press on the last cache and rows are few, reading them is what a timestep waits
// for; of the input weights, which wait for no state, a panel is then read for several timesteps at
// once. Inference on Zen 4 with 32 MiB of that cache: at 25 MB of weights one row goes 1.4 times as
// fast (AVX-512), sixteen 1.1 times on AVX2 and 0.96 to 1.04 on AVX-512, now that panels are
// fetched ahead; at 8 MB, before that, level on AVX-512 and 0.8 to 0.95 on AVX2. Without fused
// multiply-add, two products are slower (SSE) or round once more (the reference).
std::size_t timesteps_together(const RnnShape& shape, std::size_t rows, bool fused) {
  constexpr std::size_t kLargeWeights = std::size_t{16} << 20;  // bytes
  constexpr std::size_t kFewestFeatures = 128;  // fewer are not worth the second product
  constexpr std::size_t kEnoughRows = 64;
  constexpr std::size_t kRowsTogether = 2 * kEnoughRows;
  if (weight_bytes(shape) < kLargeWeights || shape.features < kFewestFeatures) return 1;
  if (rows >= kEnoughRows || !fused) return 1;
  return kRowsTogether / std::max<std::size_t>(1, rows);
}

namespace {

// Strides of a product of rows of Z with the recurrent weights.
PackedGemm product(const RowLayout& layout, std::size_t ldh) {
  PackedGemm g;
  g.lda = layout.stride;
  g.ldc = ldh;
  return g;
}

PackedBlock columns_of(const Team& team, const PackedMatrix& weights) {
  const Range panels = share(weights.panels(), team.index(), team.size());
  return {.first_panel = panels.begin, .last_panel = panels.end};
}

}  // namespace

TimestepProduct PackedForward::step(const RowLayout& layout, std::size_t ldh,
                                    const Team& team) const {
  PackedGemm g = product(layout, ldh);
  g.epilogue = Epilogue::tanh;
  return {PackedGemmPlan(g, recurrent, columns_of(team, recurrent)), layout.input, bias.data()};
}

void PackedForward::add_inputs(const Timestep& t, const RowLayout& layout, std::size_t ldh,
                               std::size_t panel) const {
  PackedGemm g = product(layout, ldh);
  g.m = t.count;
  g.a = t.z + layout.input;
  g.start = bias.data();
  g.c = t.h;
  gemm_packed(g, recurrent,
              {.first_panel = panel, .last_panel = panel + 1, .last_k = layout.features()});
}

TimestepProduct PackedForward::step_from_inputs(const RowLayout& layout, std::size_t ldh,
                                                const Team& team) const {
  PackedGemm g = product(layout, ldh);
  g.start_stride = ldh;
  g.epilogue = Epilogue::tanh;
  PackedBlock block = columns_of(team, recurrent);
  block.first_k = layout.features();
  return {PackedGemmPlan(g, recurrent, block), layout.state, nullptr};
}

void PackedForward::logits(std::size_t count, const float* h, std::size_t ldh, float* logits,
                           std::size_t ldl) const {
  PackedGemm g;
  g.m = count;
  g.a = h;
  g.lda = ldh;
  g.start = output_bias.data();
  g.c = logits;
  g.ldc = ldl;
  gemm_packed(g, output);
}

AlignedVector<float> prepare_rows(const RowLayout& layout, std::size_t count) {
  AlignedVector<float> rows(count * layout.stride);
  for (std::size_t i = layout.one; i < rows.size(); i += layout.stride) rows[i] = 1.0f;
  return rows;
}

ForwardGroup::ForwardGroup(const RnnShape& sizes, std::size_t max_rows, std::size_t max_window,
                           std::size_t together)
    : shape(sizes),
      layout(shape.features, shape.hidden),
      final_layout(0, shape.hidden),
      logits_stride(round_up(shape.classes)),
      max_rows_(max_rows),
      together_(together),
      finals_(prepare_rows(final_layout, max_rows)),
      logits_(max_rows * logits_stride) {
  schedule.reserve(max_rows, max_window);
}

void ForwardGroup::use_passing_rows() {
  passing_rows_ = prepare_rows(layout, (together_ + 1) * max_rows_);
}

std::size_t ForwardGroup::bytes_for(const RnnShape& shape, std::size_t max_rows,
                                    std::size_t max_window, std::size_t together,
                                    bool has_passing_rows) {
  const RowLayout layout(shape.features, shape.hidden);
  const RowLayout final_layout(0, shape.hidden);
  const std::size_t passing = has_passing_rows ? together + 1 : 0;
  const std::size_t row = passing * layout.stride + final_layout.stride + round_up(shape.classes);
  return RowSchedule::bytes_for(max_rows, max_window) + max_rows * row * sizeof(float);
}

float* ForwardGroup::rows_at(std::size_t t) {
  if (t >= schedule.window_begin()) return window_ + schedule.offset(t) * layout.stride;
  // A ring. (Dividing would show in the steps of small networks.)
  const std::size_t place = together_ == 1 ? t % 2 : t % (together_ + 1);
  return passing_rows_.data() + place * max_rows_ * layout.stride;
}

// Threads share the rows of each timestep, or the timesteps if there are fewer rows than threads.
void ForwardGroup::gather_inputs(const Dataset& data, Range timesteps, const Team& team) {
  const bool by_rows = schedule.rows() >= static_cast<std::size_t>(team.size());
  const Range mine = by_rows ? Range{0, timesteps.end - timesteps.begin}
                             : share(timesteps.end - timesteps.begin, team.index(), team.size());
  for (std::size_t i = mine.begin; i < mine.end; ++i) {
    gather_inputs(data, timesteps.begin + i, by_rows ? team : Team());
  }
}

void ForwardGroup::gather_inputs(const Dataset& data, std::size_t t, const Team& team) {
  const Range mine = share(schedule.active(t), team.index(), team.size());
  float* row = rows_at(t) + mine.begin * layout.stride;
  for (std::size_t n = mine.begin; n < mine.end; ++n, row += layout.stride) {
    const std::size_t own_t = t - schedule.start(n);
    const float* x = data.sequence(schedule.member(n)).data() + own_t * shape.features;
    std::copy_n(x, shape.features, row + layout.input);
    if (own_t == 0) std::fill_n(row + layout.state, shape.hidden, 0.0f);
  }
}

// States become part of the next rows, the last ones are the final ones of all sequences.
Timestep ForwardGroup::timestep(std::size_t t) {
  const bool is_last = t + 1 == schedule.steps();
  return {schedule.active(t), rows_at(t),
          is_last ? finals() + final_layout.state : rows_at(t + 1) + layout.state};
}

std::size_t ForwardGroup::ldh(std::size_t t) const {
  return t + 1 == schedule.steps() ? final_layout.stride : layout.stride;
}

void ForwardGroup::add_inputs(const PackedForward& weights, Range timesteps, const Team& team) {
  const Range panels = share(weights.recurrent.panels(), team.index(), team.size());
  for (std::size_t panel = panels.begin; panel < panels.end; ++panel) {
    for (std::size_t t = timesteps.begin; t < timesteps.end; ++t) {
      weights.add_inputs(timestep(t), layout, ldh(t), panel);
    }
  }
}

// Inputs are gathered during the step before those that they are for, so that one barrier per
// timestep is enough.
void ForwardGroup::run(const Dataset& data, const PackedForward& weights, const Team& team) {
  const std::size_t steps = schedule.steps();
  const auto block_from = [&](std::size_t t) { return Range{t, std::min(t + together_, steps)}; };
  const auto product = [&](std::size_t ldh) {
    return together_ > 1 ? weights.step_from_inputs(layout, ldh, team)
                         : weights.step(layout, ldh, team);
  };
  const TimestepProduct step = product(layout.stride);
  const TimestepProduct last_step = product(final_layout.stride);
  gather_inputs(data, block_from(0), team);
  team.barrier();
  for (Range block = block_from(0); block.begin < block.end; block = block_from(block.end)) {
    if (together_ > 1) add_inputs(weights, block, team);
    for (std::size_t t = block.begin; t < block.end; ++t) {
      if (t + 1 == block.end) gather_inputs(data, block_from(block.end), team);
      (t + 1 < steps ? step : last_step).run(timestep(t));
      team.barrier();
    }
  }
  const Range rows = share(schedule.rows(), team.index(), team.size());
  weights.logits(rows.end - rows.begin,
                 finals() + rows.begin * final_layout.stride + final_layout.state,
                 final_layout.stride, logits() + rows.begin * logits_stride, logits_stride);
}

}  // namespace lockstep
