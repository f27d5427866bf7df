// The forward pass, shared by training (which keeps the states that it goes back through),
// prediction and streams (which keep the last one).
#pragma once

#include <cstddef>

#include "lockstep/aligned_vector.h"
#include "lockstep/gemm.h"
#include "lockstep/rnn/dataset.h"
#include "lockstep/rnn/model.h"
#include "lockstep/threads.h"
#include "minibatch.h"

namespace lockstep {

// Whether the recurrent weights stay in a core's second-level cache, so that small groups of
// sequences can read them at every timestep. A constant of the definition of a training step, not a
// property of the machine.
[[nodiscard]] bool stays_in_cache(const RnnShape& shape);

// Rows that a group or a thread needs to make good use of the register tiles.
inline constexpr std::size_t kUsefulRows = 8;

// As many of `threads` as there are shares, and as are paid for by `timesteps` products of a state
// with the recurrent weights (there and back a training step does three).
[[nodiscard]] int useful_threads(const RnnShape& shape, std::size_t timesteps, std::size_t shares,
                                 int threads);

// Packs this thread's share of the panels of a matrix.
void pack_share(PackedMatrix& packed, Transpose transpose, const float* b, std::size_t ldb,
                const Team& team);

// A copy of the parameters in the order in which the forward kernels read them, and the two
// products of the forward pass.
struct PackedForward {
  explicit PackedForward(const RnnShape& shape);
  [[nodiscard]] static std::size_t bytes_for(const RnnShape& shape);
  // Packs this thread's share; the caller puts a barrier behind it.
  void pack(const RnnParameters& parameters, const Team& team);

  // Where a timestep of a group is read and written: `count` rows of Z, and the rows of `ldh`
  // floats at `h` that its states go to.
  struct Timestep {
    std::size_t count;
    const float* z;
    float* h;
    std::size_t ldh;
  };
  // h_t = tanh(b + [x_t, h_{t-1}] [Wx; Wh]). Computes this thread's share of the columns.
  void step(const Timestep& step, const RowLayout& layout, const Team& team) const;
  // The same, with the same bits if has_parts, in two parts: b + x_t Wx to the places of h_t, of
  // one panel of columns; and from there on.
  void add_inputs(const Timestep& step, const RowLayout& layout, std::size_t panel) const;
  void step_from_inputs(const Timestep& step, const RowLayout& layout, const Team& team) const;
  // by + h Wy of `count` states.
  void logits(std::size_t count, const float* h, std::size_t ldh, float* logits,
              std::size_t ldl) const;

  // Whether two parts have the bits of one step: see gemm_packed.
  bool has_parts;
  PackedMatrix recurrent;  // Wx over Wh: (D + H) x H
  PackedMatrix output;     // Wy: H x C
  AlignedVector<float> bias;
  AlignedVector<float> output_bias;
};

// Memory for `count` rows of Z: zeros, and the constant 1 of each.
[[nodiscard]] AlignedVector<float> prepare_rows(const RowLayout& layout, std::size_t count);

// The memory of a group of sequences on their way forward.
class ForwardGroup {
 public:
  // For groups of up to max_rows sequences and windows of up to max_window timesteps.
  ForwardGroup(const RnnShape& shape, std::size_t max_rows, std::size_t max_window);

  RowSchedule schedule;

  // Takes memory for the timesteps before the window, two of which are needed at a time, or as many
  // as go through the input weights together and the next.
  void use_passing_rows();
  // Keeps the rows of the window at `rows`, in memory prepared by prepare_rows.
  void keep_window_at(float* rows) { window_ = rows; }

  // Runs all timesteps and leaves the last states and the logits of every sequence. The threads of
  // `team` share the columns of each step and meet after it; a team of one takes everything.
  void run(const Dataset& data, const PackedForward& weights, const Team& team);

  // Row of Z at the first sequence of timestep t. Before the window, the rows of later timesteps
  // replace those of t.
  [[nodiscard]] float* rows_at(std::size_t t);
  // [rows][final_layout.stride]: 1 and the last state of each sequence, as in Z without x.
  [[nodiscard]] float* finals() { return finals_.data(); }
  // [rows][logits_stride]
  [[nodiscard]] float* logits() { return logits_.data(); }
  // What the constructor takes, and use_passing_rows if it is called.
  [[nodiscard]] static std::size_t bytes_for(const RnnShape& shape, std::size_t max_rows,
                                             std::size_t max_window, bool has_passing_rows);

  const RnnShape shape;
  const RowLayout layout;
  const RowLayout final_layout;
  const std::size_t logits_stride;

 private:
  void gather_inputs(const Dataset& data, Range timesteps, const Team& team);
  void gather_inputs(const Dataset& data, std::size_t t, const Team& team);
  [[nodiscard]] PackedForward::Timestep timestep(std::size_t t);
  void add_inputs(const PackedForward& weights, Range timesteps, const Team& team);

  std::size_t max_rows_;
  std::size_t timesteps_together_;  // through the input weights, before any through the others
  float* window_ = nullptr;
  AlignedVector<float> passing_rows_;
  AlignedVector<float> finals_;
  AlignedVector<float> logits_;
};

}  // namespace lockstep
