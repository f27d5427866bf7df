// One recurrent layer through time and back. The forward pass is shared by training (which keeps
// the states that it goes back through), prediction and streams (which keep the last one).
#pragma once

#include <cstddef>
#include <span>

#include "cells/cell.h"
#include "layers/row_schedule.h"
#include "layers/workspace.h"
#include "lockstep/gemm.h"
#include "lockstep/rnn/dataset.h"
#include "lockstep/rnn/network.h"
#include "lockstep/threads.h"

namespace lockstep {

// Sizes and cell of a layer.
struct LayerSize {
  std::size_t inputs;
  std::size_t hidden;
  const Cell* cell;

  // Of a valid network.
  explicit LayerSize(const Network& network);

  [[nodiscard]] RowLayout layout() const { return RowLayout(inputs, hidden); }
  [[nodiscard]] RowLayout final_layout() const { return RowLayout(0, hidden); }
  [[nodiscard]] std::size_t rows() const { return 1 + inputs + hidden; }  // of b, Wx, Wh
  [[nodiscard]] std::size_t weight_bytes() const {
    return (inputs + hidden) * hidden * sizeof(float);
  }
};

// As many of `threads` as there are shares, and as are paid for by `timesteps` products of a state
// with the recurrent weights (there and back a training step does three).
[[nodiscard]] int useful_threads(const LayerSize& size, std::size_t timesteps, std::size_t shares,
                                 int threads);

// Timesteps whose inputs meet the input weights before any of them meets the others, in groups of
// `rows` rows, on a backend that has fused multiply-add or not. Changes no bit.
[[nodiscard]] std::size_t timesteps_together(const LayerSize& size, std::size_t rows, bool fused);

// Packs this thread's share of the panels of a matrix.
void pack_share(PackedMatrix& packed, Transpose transpose, const float* b, std::size_t ldb,
                const Team& team);

// Zeros, and the constant 1 of each row.
[[nodiscard]] std::span<float> take_rows(Workspace& workspace, const RowLayout& layout,
                                         std::size_t count);

// Where a timestep is read and written: `count` rows of Z, and the rows of its states.
struct Timestep {
  std::size_t count;
  const float* z;
  float* h;
};

// Computes a thread's share of the columns of one timestep after another.
class TimestepProduct {
 public:
  // Columns of Z from `first_column` on by what `plan` was made for; begins with `bias`, or if that
  // is null with what is at the places of h_t.
  TimestepProduct(const PackedGemmPlan& plan, std::size_t first_column, const float* bias,
                  const Cell& cell, Range columns, std::size_t ldh)
      : plan_(plan),
        first_column_(first_column),
        bias_(bias),
        pass_(cell.forward),
        columns_(columns),
        ldh_(ldh) {}
  void run(const Timestep& t) const {
    plan_.run(t.count, t.z + first_column_, bias_ != nullptr ? bias_ : t.h, t.h);
    if (pass_ != nullptr) {
      pass_({t.h + columns_.begin, t.count, columns_.end - columns_.begin, ldh_});
    }
  }

 private:
  PackedGemmPlan plan_;
  std::size_t first_column_;
  const float* bias_;
  void (*pass_)(const Block& sums);
  Range columns_;
  std::size_t ldh_;
};

// A copy of the weights of a layer in the order in which the products read them. `ldh` is the row
// stride of states.
class PackedLayer {
 public:
  PackedLayer(Workspace& workspace, const LayerSize& size, bool has_way_back);
  // Packs this thread's share of b, Wx, Wh [rows][H]; the caller puts a barrier behind it.
  void pack(std::span<const float> weights, const Team& team);

  // h_t = f(b + [x_t, h_{t-1}] [Wx; Wh])
  [[nodiscard]] TimestepProduct step(std::size_t ldh, const Team& team) const;
  // The same with the same bits (see gemm_packed) in two parts: b + x_t Wx to the places of h_t, of
  // one panel of columns; and from there on.
  void add_inputs(const Timestep& t, std::size_t ldh, std::size_t panel) const;
  [[nodiscard]] TimestepProduct step_from_inputs(std::size_t ldh, const Team& team) const;

  // delta_{t+1} Wh^T, where rows of deltas are `stride` apart, and its share of the columns.
  [[nodiscard]] PackedGemmPlan step_back(std::size_t stride, const Team& team) const;
  [[nodiscard]] Range columns_back(const Team& team) const;

  [[nodiscard]] const LayerSize& size() const { return size_; }
  [[nodiscard]] std::size_t panels() const { return recurrent_.panels(); }
  [[nodiscard]] bool fused() const { return fused_; }

 private:
  LayerSize size_;
  RowLayout layout_;
  bool fused_;                      // the backend has fused multiply-add
  PackedMatrix recurrent_;          // Wx over Wh: (D + H) x H
  PackedMatrix hidden_transposed_;  // Wh^T, on the way back
  std::span<float> bias_;
};

// Where the gradients of states are written, and by which epilogue they become deltas.
struct StateGradients {
  float* values;
  std::size_t stride;
  Epilogue epilogue;
  const float* h;
  std::size_t ldh;
};

// The states of a leaf or chunk of sequences on their way through time; in training also the
// deltas and the gradient of the weights.
class RecurrentLayer {
 public:
  // For up to `rows` sequences and windows of up to `window` timesteps, which the layer goes back
  // through if `has_way_back`; before the window there are other timesteps if `has_passing`. The
  // inputs of `together` timesteps meet their weights at once.
  struct Limits {
    std::size_t rows;
    std::size_t window;
    bool has_passing;
    std::size_t together;
    bool has_way_back;
  };
  RecurrentLayer(Workspace& workspace, const LayerSize& size, const Limits& limits);

  // Keeps the rows of the window at `rows`, memory from take_rows.
  void keep_window_at(float* rows) { window_ = rows; }
  [[nodiscard]] float* window() const { return window_; }

  // Runs all timesteps. The threads of `team` share the columns of each step and meet after it; a
  // team of one takes everything.
  void forward(const Dataset& data, const RowSchedule& schedule, const PackedLayer& weights,
               const Team& team);
  // Row of Z at the first sequence of timestep t. Before the window, the rows of later timesteps
  // replace those of t.
  [[nodiscard]] float* rows_at(const RowSchedule& schedule, std::size_t t) const;
  // [rows][final_layout.stride]: 1 and the last state of each sequence, as in Z without x.
  [[nodiscard]] float* finals() const { return finals_.data(); }

  // Where the gradients of the last states are expected, by one thread.
  [[nodiscard]] StateGradients final_gradients() const;
  // From there back through the window. Changes nothing that `forward` left.
  void backward(const RowSchedule& schedule, const PackedLayer& weights, const Team& team);
  // Gradient of b, Wx, Wh: rows gradient_stride() apart.
  [[nodiscard]] float* gradient() const { return gradient_.data(); }
  [[nodiscard]] std::size_t gradient_stride() const { return delta_stride_; }

 private:
  // Timesteps begin .. end-1, whose deltas are kept together.
  struct Steps {
    std::size_t begin;
    std::size_t end;
  };

  [[nodiscard]] Timestep timestep(const RowSchedule& schedule, std::size_t t) const;
  [[nodiscard]] std::size_t ldh(const RowSchedule& schedule, std::size_t t) const;
  void gather_inputs(const Dataset& data, const RowSchedule& schedule, Range timesteps,
                     const Team& team);
  void gather_inputs(const Dataset& data, const RowSchedule& schedule, std::size_t t,
                     const Team& team);
  void add_inputs(const RowSchedule& schedule, const PackedLayer& weights, Range timesteps,
                  const Team& team);

  void take_last_deltas(const RowSchedule& schedule, float* deltas, const Team& team);
  void delta_step(const RowSchedule& schedule, const PackedGemmPlan& product, Range columns,
                  std::size_t t, Steps block);
  void accumulate_weights(const RowSchedule& schedule, Steps block, const Team& team);
  void keep_first_deltas(const RowSchedule& schedule, Steps block, const Team& team);
  [[nodiscard]] float* deltas_at(const RowSchedule& schedule, std::size_t t, Steps block) const;

  LayerSize size_;
  RowLayout layout_;
  RowLayout final_layout_;
  std::size_t max_rows_;
  std::size_t together_;  // see timesteps_together
  float* window_ = nullptr;
  std::span<float> passing_rows_;
  std::span<float> finals_;

  std::size_t delta_stride_;
  std::span<float> final_deltas_;  // [rows][H], of the last timestep
  std::span<float> next_deltas_;   // [rows][H], of the first timestep of the block after this
  std::span<float> deltas_;        // [rows of a block of timesteps][H]
  // Of large weights: the same, and [1, x, h] of those timesteps, transposed.
  PackedMatrix packed_deltas_;
  std::span<float> inputs_;
  std::span<float> gradient_;
};

}  // namespace lockstep
