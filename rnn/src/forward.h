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

// Timesteps whose inputs go through the input weights before any of them goes through the others,
// in groups of so many rows, on a backend that has fused multiply-add or not. Changes no bit.
[[nodiscard]] std::size_t timesteps_together(const RnnShape& shape, std::size_t rows, bool fused);

// Packs this thread's share of the panels of a matrix.
void pack_share(PackedMatrix& packed, Transpose transpose, const float* b, std::size_t ldb,
                const Team& team);

// Where a timestep of a group is read and written: `count` rows of Z, and the rows that its states
// go to.
struct Timestep {
  std::size_t count;
  const float* z;
  float* h;
};

// Computes a thread's share of the columns of one timestep after another.
class TimestepProduct {
 public:
  // Columns of Z from `first_column` on by what `plan` was made for; begins with `bias`, or if that
  // is null with what stands at the places of h_t.
  TimestepProduct(const PackedGemmPlan& plan, std::size_t first_column, const float* bias)
      : plan_(plan), first_column_(first_column), bias_(bias) {}
  void run(const Timestep& t) const {
    plan_.run(t.count, t.z + first_column_, bias_ != nullptr ? bias_ : t.h, t.h);
  }

 private:
  PackedGemmPlan plan_;
  std::size_t first_column_;
  const float* bias_;
};

// A copy of the parameters in the order in which the forward kernels read them, and the products of
// the forward pass. `ldh` is the row stride of states.
struct PackedForward {
  explicit PackedForward(const RnnShape& shape);
  [[nodiscard]] static std::size_t bytes_for(const RnnShape& shape);
  // Packs this thread's share; the caller puts a barrier behind it.
  void pack(const RnnParameters& parameters, const Team& team);

  // h_t = tanh(b + [x_t, h_{t-1}] [Wx; Wh])
  [[nodiscard]] TimestepProduct step(const RowLayout& layout, std::size_t ldh,
                                     const Team& team) const;
  // The same with the same bits (see gemm_packed) in two parts: b + x_t Wx to the places of h_t, of
  // one panel of columns; and from there on.
  void add_inputs(const Timestep& t, const RowLayout& layout, std::size_t ldh,
                  std::size_t panel) const;
  [[nodiscard]] TimestepProduct step_from_inputs(const RowLayout& layout, std::size_t ldh,
                                                 const Team& team) const;
  // by + h Wy of `count` states.
  void logits(std::size_t count, const float* h, std::size_t ldh, float* logits,
              std::size_t ldl) const;

  bool fused;              // the backend of these matrices has fused multiply-add
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
  // For groups of up to max_rows sequences and windows of up to max_window timesteps, the inputs of
  // `together` timesteps at once.
  ForwardGroup(const RnnShape& sizes, std::size_t max_rows, std::size_t max_window,
               std::size_t together);

  RowSchedule schedule;

  // Takes memory for the timesteps before the window: those whose inputs go together and the next.
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
                                             std::size_t max_window, std::size_t together,
                                             bool has_passing_rows);

  const RnnShape shape;
  const RowLayout layout;
  const RowLayout final_layout;
  const std::size_t logits_stride;

 private:
  void gather_inputs(const Dataset& data, Range timesteps, const Team& team);
  void gather_inputs(const Dataset& data, std::size_t t, const Team& team);
  [[nodiscard]] Timestep timestep(std::size_t t);
  [[nodiscard]] std::size_t ldh(std::size_t t) const;
  void add_inputs(const PackedForward& weights, Range timesteps, const Team& team);

  std::size_t max_rows_;
  std::size_t together_;  // see timesteps_together
  float* window_ = nullptr;
  AlignedVector<float> passing_rows_;
  AlignedVector<float> finals_;
  AlignedVector<float> logits_;
};

}  // namespace lockstep
