#include "forward.h"

#include <algorithm>

namespace lockstep {

bool stays_in_cache(const RnnShape& shape) {
  constexpr std::size_t kResidentWeights = 512 * 1024;
  return (shape.features + shape.hidden) * shape.hidden * sizeof(float) <= kResidentWeights;
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
    : recurrent(shape.features + shape.hidden, shape.hidden),
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

void PackedForward::step(std::size_t count, const float* z, const RowLayout& layout, float* h,
                         std::size_t ldh, const Team& team) const {
  const Range panels = share(recurrent.panels(), team.index(), team.size());
  PackedGemm g;
  g.m = count;
  g.a = z + layout.input;
  g.lda = layout.stride;
  g.start = bias.data();
  g.c = h;
  g.ldc = ldh;
  g.epilogue = Epilogue::tanh;
  gemm_packed(g, recurrent, panels.begin, panels.end);
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

ForwardGroup::ForwardGroup(const RnnShape& sizes, std::size_t max_rows, std::size_t max_window)
    : shape(sizes),
      layout(shape.features, shape.hidden),
      final_layout(0, shape.hidden),
      logits_stride(round_up(shape.classes)),
      max_rows_(max_rows),
      finals_(prepare_rows(final_layout, max_rows)),
      logits_(max_rows * logits_stride) {
  schedule.reserve(max_rows, max_window);
}

void ForwardGroup::use_passing_rows() { passing_rows_ = prepare_rows(layout, 2 * max_rows_); }

std::size_t ForwardGroup::bytes_for(const RnnShape& shape, std::size_t max_rows,
                                    std::size_t max_window, bool has_passing_rows) {
  const RowLayout layout(shape.features, shape.hidden);
  const RowLayout final_layout(0, shape.hidden);
  const std::size_t row =
      (has_passing_rows ? 2 * layout.stride : 0) + final_layout.stride + round_up(shape.classes);
  return RowSchedule::bytes_for(max_rows, max_window) + max_rows * row * sizeof(float);
}

float* ForwardGroup::rows_at(std::size_t t) {
  if (t >= schedule.window_begin()) return window_ + schedule.offset(t) * layout.stride;
  return passing_rows_.data() + t % 2 * max_rows_ * layout.stride;
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
void ForwardGroup::step(const PackedForward& weights, std::size_t t, const Team& team) {
  const bool is_last = t + 1 == schedule.steps();
  float* h = is_last ? finals() + final_layout.state : rows_at(t + 1) + layout.state;
  const std::size_t ldh = is_last ? final_layout.stride : layout.stride;
  weights.step(schedule.active(t), rows_at(t), layout, h, ldh, team);
}

void ForwardGroup::run(const Dataset& data, const PackedForward& weights, const Team& team) {
  gather_inputs(data, 0, team);
  team.barrier();
  for (std::size_t t = 0; t < schedule.steps(); ++t) {
    if (t + 1 < schedule.steps()) gather_inputs(data, t + 1, team);
    step(weights, t, team);
    team.barrier();
  }
  const Range rows = share(schedule.rows(), team.index(), team.size());
  weights.logits(rows.end - rows.begin,
                 finals() + rows.begin * final_layout.stride + final_layout.state,
                 final_layout.stride, logits() + rows.begin * logits_stride, logits_stride);
}

}  // namespace lockstep
