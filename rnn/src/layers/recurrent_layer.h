// One recurrent layer through time and back. The forward pass is shared by training (which keeps
// the states of its backward pass), prediction and streams (which keep the last one).
#pragma once

#include <algorithm>
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
// with the recurrent weights (a training step does three, one forward and two backward).
[[nodiscard]] int useful_threads(const LayerSize& size, std::size_t timesteps, std::size_t shares,
                                 int threads);

// Timesteps whose inputs are multiplied by the input weights together, before any of their states
// is, in groups of `rows` rows, on a backend that has fused multiply-add or not. Changes no bit.
[[nodiscard]] std::size_t timesteps_together(const LayerSize& size, std::size_t rows, bool fused);

// Zeros, and the constant 1 of each row.
[[nodiscard]] std::span<float> take_rows(Workspace& workspace, const RowLayout& layout,
                                         std::size_t count);

enum class Purpose { inference, training };

// A copy of weights [1 + inputs + hidden][units], of which the first row is the bias, in the order
// in which the products read them.
struct PackedWeights {
  PackedWeights(Workspace& workspace, std::size_t inputs, std::size_t hidden, std::size_t units,
                Purpose purpose);
  // Packs this thread's share; the caller puts a barrier behind it.
  void pack(std::span<const float> weights, const Team& team);

  PackedMatrix forward;   // all rows but the bias
  PackedMatrix backward;  // those of the hidden units, transposed, if it is for training
  std::span<float> bias;
};

// Where a timestep is read and written: `count` rows of Z, and the rows of its states, which are
// `ldh` floats apart.
struct Timestep {
  std::size_t count;
  const float* z;
  float* h;
  std::size_t ldh;
};

// Computes a thread's share of the columns of one timestep after another.
struct TimestepProduct {
  PackedGemmPlan plan;
  std::size_t first_column;  // of Z, by which the plan begins
  const float* bias;         // null: begins with what is at the places of the states
  void (*pass)(const MatrixView& sums);

  void run(const Timestep& t) const {
    plan.run(t.count, t.z + first_column, bias != nullptr ? bias : t.h, t.h);
    if (pass == nullptr) return;
    const Range columns = plan.columns();
    pass({t.h + columns.begin, t.count, columns.size(), t.ldh});
  }
};

// What the sums of a timestep begin with: the bias, or what add_inputs has left at the places of
// the states.
enum class SumsFrom { bias, inputs };

// A copy of the weights of a layer.
struct PackedLayer {
  PackedLayer(Workspace& workspace, const LayerSize& layer, Purpose purpose);

  // h_t = f(b + [x_t, h_{t-1}] [Wx; Wh]), with the same bits from either start (see gemm_packed).
  // Rows of states are `ldh` floats apart.
  [[nodiscard]] TimestepProduct step(std::size_t ldh, SumsFrom start, const Team& team) const;
  // b + x_t Wx to the places of h_t, of one panel of columns.
  void add_inputs(const Timestep& t, std::size_t panel) const;

  // delta_{t+1} Wh^T, where rows of deltas are `stride` apart.
  [[nodiscard]] PackedGemmPlan step_back(std::size_t stride, const Team& team) const;

  [[nodiscard]] std::size_t panels() const { return weights.forward.panels(); }

  LayerSize size;
  bool fused;             // the backend has fused multiply-add
  PackedWeights weights;  // b, Wx, Wh
};

// The states of a leaf or chunk of sequences over time; in training also the deltas and the
// gradient of the weights.
class RecurrentLayer {
 public:
  // Up to `rows` sequences of up to `steps` timesteps. The states of the last `window` timesteps
  // are kept and, unless it is 0, trained on. The inputs of `together` timesteps are multiplied
  // at once.
  struct Limits {
    std::size_t rows;
    std::size_t steps;
    std::size_t window;
    std::size_t together;

    [[nodiscard]] Purpose purpose() const {
      return window > 0 ? Purpose::training : Purpose::inference;
    }
    [[nodiscard]] std::size_t window_steps() const { return std::min(window, steps); }
  };
  RecurrentLayer(Workspace& workspace, const LayerSize& size, const Limits& limits);

  // Keeps the rows of the window at `rows`, memory from take_rows.
  void keep_window_at(float* rows) { window_ = rows; }
  [[nodiscard]] float* window() const { return window_; }

  // Runs all timesteps. The threads of `team` share the columns of each step, with a barrier after
  // it; a team of one takes everything.
  void forward(const Dataset& data, const RowSchedule& schedule, const PackedLayer& weights,
               const Team& team);
  // Row of Z at the first sequence of timestep t. Before the window, the rows of later timesteps
  // replace those of t.
  [[nodiscard]] float* rows_at(const RowSchedule& schedule, std::size_t t) const;
  // [rows][final_layout.stride]: 1 and the last state of each sequence, as in Z without x.
  [[nodiscard]] float* finals() const { return finals_.data(); }

  // A product that leaves the deltas of the last timestep where `backward` reads them, or, where
  // the derivative is not fused, the gradients of its states: one thread runs it before each
  // `backward`, having filled in a and lda.
  [[nodiscard]] PackedGemm last_deltas(const RowSchedule& schedule) const;
  // From there back through the window. Changes nothing that `forward` left.
  void backward(const RowSchedule& schedule, const PackedLayer& weights, const Team& team);
  // Gradient of b, Wx, Wh: rows gradient_stride() apart.
  [[nodiscard]] float* gradient() const { return gradient_.data(); }
  [[nodiscard]] std::size_t gradient_stride() const { return delta_stride_; }

 private:
  [[nodiscard]] Timestep timestep(const RowSchedule& schedule, std::size_t t) const;
  void gather_inputs(const Dataset& data, const RowSchedule& schedule, Range timesteps,
                     const Team& team) const;
  void add_inputs(const RowSchedule& schedule, const PackedLayer& weights, Range timesteps,
                  const Team& team);

  // `block`: timesteps whose deltas are kept together.
  [[nodiscard]] Range block_before(const RowSchedule& schedule, std::size_t end) const;
  void delta_step(const RowSchedule& schedule, const PackedGemmPlan& product, std::size_t t,
                  Range block);
  void accumulate_weights(const RowSchedule& schedule, Range block, const Team& team);
  [[nodiscard]] float* deltas_at(const RowSchedule& schedule, std::size_t t, Range block) const;

  LayerSize size_;
  RowLayout layout_;
  RowLayout final_layout_;
  std::size_t max_rows_;
  std::size_t together_;  // see timesteps_together
  float* window_ = nullptr;
  std::span<float> ring_;  // ring buffer: rows of Z before the window
  std::span<float> finals_;

  std::size_t delta_stride_;
  std::span<float> next_deltas_;  // [rows][H], of the first timestep of the block after this
  std::span<float> deltas_;       // [rows of a block of timesteps][H]
  // Of large weights: the same, and [1, x, h] of those timesteps, transposed.
  PackedMatrix packed_deltas_;
  std::span<float> inputs_;
  std::span<float> gradient_;
};

}  // namespace lockstep
