#include "forward.h"

#include <algorithm>

namespace lockstep {

bool stays_in_cache(const RnnShape& shape) {
  constexpr std::size_t kResidentWeights = 512 * 1024;
  return (shape.features + shape.hidden) * shape.hidden * sizeof(float) <= kResidentWeights;
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

ForwardGroup::ForwardGroup(const RnnShape& sizes, std::size_t max_rows, std::size_t max_steps)
    : shape(sizes),
      layout(shape.features, shape.hidden),
      final_layout(0, shape.hidden),
      logits_stride(round_up(shape.classes)),
      max_rows_(max_rows),
      finals_(prepare_rows(final_layout, max_rows)),
      logits_(max_rows * logits_stride) {
  schedule.reserve(max_rows, max_steps);
}

void ForwardGroup::use_own_rows() {
  own_rows_ = prepare_rows(layout, 2 * max_rows_);
  rows_ = own_rows_.data();
  keep_states_ = false;
}

std::size_t ForwardGroup::bytes() const {
  return (own_rows_.size() + finals_.size() + logits_.size()) * sizeof(float);
}

std::size_t ForwardGroup::row_index(std::size_t t) const {
  return keep_states_ ? schedule.offset(t) : t % 2 * max_rows_;
}

void ForwardGroup::gather_inputs(const Dataset& data, std::size_t t, const Team& team) {
  const Range mine = share(schedule.active(t), team.index(), team.size());
  float* row = rows_at(t) + mine.begin * layout.stride;
  for (std::size_t n = mine.begin; n < mine.end; ++n, row += layout.stride) {
    const float* x = data.sequence(schedule.member(n)).data() + t * shape.features;
    std::copy_n(x, shape.features, row + layout.input);
    if (t == 0) std::fill_n(row + layout.state, shape.hidden, 0.0f);
  }
}

// States of sequences that go on become part of the next rows, those of sequences that end here are
// the final ones.
void ForwardGroup::step(const PackedForward& weights, std::size_t t, const Team& team) {
  const std::size_t active = schedule.active(t);
  const std::size_t going_on = schedule.active(t + 1);
  const float* z = rows_at(t);
  if (going_on > 0) {
    weights.step(going_on, z, layout, rows_at(t + 1) + layout.state, layout.stride, team);
  }
  weights.step(active - going_on, z + going_on * layout.stride, layout,
               finals() + going_on * final_layout.stride + final_layout.state, final_layout.stride,
               team);
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
