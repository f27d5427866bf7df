// One direction of a recurrent layer through time and back; most often it is the whole layer. The
// forward pass is shared by training (which keeps the states of its backward pass), prediction and
// streams (which keep the last one).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <numeric>
#include <span>

#include "cells/cell.h"
#include "layers/pool.h"
#include "layers/row_schedule.h"
#include "layers/workspace.h"
#include "lockstep/gemm.h"
#include "lockstep/rnn/dataset.h"
#include "lockstep/threads.h"
#include "network/layer_size.h"

namespace lockstep {

enum class Purpose { inference, training };

// Of timesteps: the first run, or one more to have their states again.
enum class Run { first, again };

// A row of Z of a layer, and of its final states. Only a training keeps sums, for its way back.
[[nodiscard]] inline RowLayout layout_of(const LayerSize& size, Purpose purpose) {
  const bool has_sums = purpose == Purpose::training && !size.cell->is_in_place();
  return RowLayout(size.inputs, size.state(), has_sums ? size.sums() : 0);
}
[[nodiscard]] inline RowLayout final_layout_of(const LayerSize& size) {
  return RowLayout(0, size.state());
}

// As many of `threads` as there are shares, and as are paid for by `timesteps` products of a state
// with `weights` recurrent weights (a training step does three, one forward and two backward).
[[nodiscard]] int useful_threads(std::size_t weights, std::size_t timesteps, std::size_t shares,
                                 int threads);

// Timesteps whose inputs are multiplied by the input weights together, before any of their states
// is, in groups of `rows` rows, on a backend that has fused multiply-add or not. Changes no bit.
[[nodiscard]] std::size_t timesteps_together(const LayerSize& size, std::size_t rows, bool fused);

// Timesteps of `rows` sequences whose deltas are kept together, and met by their inputs at once.
[[nodiscard]] std::size_t delta_steps(const LayerSize& size, std::size_t rows);

// Of layers, the fewest timesteps that make whole blocks of deltas of each.
template <class Sizes>
[[nodiscard]] std::size_t least_segment_steps(const Sizes& sizes, std::size_t rows) {
  std::size_t steps = 1;
  for (const LayerSize& size : sizes) steps = std::lcm(steps, delta_steps(size, rows));
  return steps;
}
// Timesteps of a segment of `rows` sequences that `segment_rows` rows have room for, and for one
// timestep more: whole blocks of deltas, so that dividing a window changes no bit. At least as many
// rows as those of the shortest segment.
template <class Sizes>
[[nodiscard]] std::size_t segment_steps(const Sizes& sizes, std::size_t rows,
                                        std::size_t segment_rows) {
  const std::size_t least = least_segment_steps(sizes, rows);
  return (segment_rows / rows - 1) / least * least;
}

// Zeros, and the constant 1 of each row.
[[nodiscard]] std::span<float> take_rows(Workspace& workspace, const RowLayout& layout,
                                         std::size_t count);

// Packs this thread's share of the panels of a matrix.
void pack_share(PackedMatrix& packed, Transpose transpose, const float* b, std::size_t ldb,
                const Team& team);

// Where a timestep is read and written: `count` rows of Z, their sums, and the rows of the states
// that they become.
struct Timestep {
  std::size_t count;
  const float* z;
  float* sums;
  std::size_t sum_stride;
  float* after;
  std::size_t after_stride;
};

// Rows of Z of another timestep, to be prefetched meanwhile, and what for; or none.
struct RowsAhead {
  enum class Use { read, write };

  const float* rows = nullptr;
  Use use = Use::read;
};

// Where the sums of a timestep begin: with the bias, or with what add_inputs has left.
enum class SumsFrom { bias, inputs };

struct PackedLayer;

// A thread's part of one timestep after another.
struct LayerStep {
  const PackedLayer* layer;
  PackedGemmPlan product;
  std::size_t first_k;    // of Z, by which the product begins
  std::size_t first_sum;  // that it adds to
  const float* bias;      // that the sums begin with; null: with what is at their places
  bool adds_inputs;       // in a product of their own:
  PackedGemmPlan inputs;  // b + x Wx; of no meaning otherwise
  bool passes;            // the cell's function is no part of the product

  // Called by every thread of the team for the same timestep.
  void run(const Timestep& t, const Team& team, const RowsAhead& ahead = {}) const {
    if (adds_inputs) begin_sums(t, team);
    float* sums = t.sums + first_sum;
    product.run(t.count, t.z + first_k, bias != nullptr ? bias : sums, sums);
    if (passes) pass(t, team, ahead);
  }
  // x_t Wx in a product of its own.
  void begin_sums(const Timestep& t, const Team& team) const;
  // What the cell does behind the products.
  void pass(const Timestep& t, const Team& team, const RowsAhead& ahead) const;
};

// A copy of the weights of a layer, in the order in which the products read them.
struct PackedLayer {
  PackedLayer(Workspace& workspace, const LayerSize& layer, Purpose purpose);
  // Packs this thread's share of b, Wx, Wh; the caller puts a barrier behind it.
  void pack(std::span<const float> parameters, const Team& team);

  // Sums of [x_t, h_{t-1}] and what the cell makes of them, with the same bits from either start
  // (see gemm_packed). Rows of sums are `stride` floats apart.
  [[nodiscard]] LayerStep step(std::size_t stride, SumsFrom start, const Team& team) const;
  // b + x_t Wx to the places of the sums, of some panels of columns of input_weights.
  [[nodiscard]] PackedGemmPlan input_step(std::size_t stride, Range panels) const;
  void add_inputs(const PackedGemmPlan& plan, const Timestep& t) const {
    plan.run(t.count, t.z + layout.input, bias.data(), t.sums);
  }
  // The bias to the places of sums that x has no part of, a thread's share of the rows.
  void begin_other_sums(const Timestep& t, const Team& team) const;

  // The timestep as the cell takes it, of some units.
  [[nodiscard]] CellStep cell_step(const Timestep& t, Range units) const;
  // Calls pass(timestep, first row) for parts of the rows, and prefetches as many rows ahead before
  // each: so few that they arrive while it runs. All at once if there is nothing to prefetch.
  template <class Pass>
  void pass_rows(const Timestep& t, const RowsAhead& ahead, const Pass& pass) const;

  // Gradients of h_{t-1} by the products, from rows of deltas that are `stride` floats apart to
  // rows `ldc` apart, added to what is there if `adds`; rows of h are `ldh` apart.
  [[nodiscard]] PackedGemmPlan step_back(std::size_t stride, std::size_t ldc, bool adds,
                                         std::size_t ldh, const Team& team) const;

  [[nodiscard]] std::size_t panels() const { return weights.panels(); }
  [[nodiscard]] const PackedMatrix& input_weights() const {
    return size.cell->has_one_product() ? weights : inputs;
  }

  LayerSize size;
  RowLayout layout;
  bool fused;  // the backend has fused multiply-add
  std::span<float> bias;
  PackedMatrix weights;  // Wh, below Wx where the cell has one product
  PackedMatrix inputs;   // otherwise Wx
  // Transposed, of a training: Wh, and Wx where there is a layer below.
  PackedMatrix state_weights_back;
  PackedMatrix input_weights_back;
};

// Memory for the timesteps that a training keeps of a layer: rows of Z, and the gradients of what
// the layer below gave, where there is one.
struct WindowMemory {
  // `hands_up`, `hands_down`: the layer above or below takes other segments, so what this one hands
  // to it is kept of the whole window.
  WindowMemory(Workspace& workspace, const LayerSize& size, Purpose purpose,
               const WindowTimesteps& timesteps, bool hands_up, bool hands_down);

  std::span<float> rows;
  std::span<float> outputs;  // [timesteps of the whole window][hidden], or empty
  std::span<float> input_gradients;
  bool has_all_gradients;  // input_gradients are those of the whole window
};

class LayerInputs;
class LayerGradients;

// The states of a leaf or chunk of sequences over time; in training also the deltas and the
// gradient of the weights.
class RecurrentLayer {
 public:
  // Up to `rows` sequences of up to `steps` timesteps. The states of the last `window` timesteps
  // are kept and, in a training, learnt from. The inputs of `together` timesteps are multiplied at
  // once.
  struct Limits {
    Purpose purpose;
    std::size_t rows;
    std::size_t steps;
    std::size_t window;
    std::size_t together;
    // Of a training whose window is divided into segments: rows for one of them, and those of the
    // states from which they begin.
    std::size_t segment_rows = 0;
    std::size_t saved_rows = 0;

    [[nodiscard]] std::size_t window_steps() const { return std::min(window, steps); }
  };
  // `block`: timesteps whose states stay for the layer above, at least `together`.
  RecurrentLayer(Workspace& workspace, const LayerSize& size, std::size_t block,
                 const Limits& limits);

  // Lets every timestep of the forward pass be pooled.
  void pool_into(const Pool& pool) { pool_ = pool; }
  // Keeps the window in this memory, from these rows on.
  void keep_window_in(const WindowMemory& memory, const FirstRows& first);

  // Runs some timesteps, in their order from call to call. The threads of `team` share the columns
  // of each step, with a barrier after it; a team of one takes everything. A run that repeats an
  // earlier one pools nothing.
  void forward(const LayerInputs& inputs, const RowSchedule& schedule, const PackedLayer& weights,
               Range timesteps, Run run, const Team& team);
  // The states from which a segment begins: saves them while they are at their place, and brings
  // them back when the segment is kept. A thread's share, without a barrier.
  void save_states(const RowSchedule& schedule, std::size_t segment, const Team& team) const;
  void restore_states(const RowSchedule& schedule, std::size_t segment, const Team& team) const;
  // Keeps the outputs of the segment that is kept for a layer above that takes other segments, if
  // there is one. A thread's share, without a barrier.
  void hand_up(const RowSchedule& schedule, const Team& team) const;
  // Row of Z at the first sequence of timestep t. Before the window, the rows of later timesteps
  // replace those of t; in it, t is of the segment that is kept, or the timestep behind it.
  [[nodiscard]] float* rows_at(const RowSchedule& schedule, std::size_t t) const;

  // The timestep of the group at which row n has its own timestep `own`, and back.
  [[nodiscard]] std::size_t time_of(const RowSchedule& schedule, std::size_t n,
                                    std::size_t own) const {
    return size_.backward ? schedule.steps() - 1 - own : schedule.start(n) + own;
  }
  [[nodiscard]] std::size_t own_time_of(const RowSchedule& schedule, std::size_t n,
                                        std::size_t t) const {
    return size_.backward ? schedule.steps() - 1 - t : t - schedule.start(n);
  }
  // h of row n after its own timestep `own`, and the gradients of its inputs there.
  [[nodiscard]] const float* output(const RowSchedule& schedule, std::size_t n,
                                    std::size_t own) const;
  [[nodiscard]] float* input_gradient(const RowSchedule& schedule, std::size_t n,
                                      std::size_t own) const;
  [[nodiscard]] const LayerSize& size() const { return size_; }
  // [rows][final_layout.stride]: 1 and the last state of each sequence, as in Z without x.
  [[nodiscard]] float* finals() const { return finals_.data(); }
  // The last state of row n, h first.
  [[nodiscard]] const float* final_state(std::size_t n) const {
    return finals() + n * final_layout_.stride + final_layout_.state;
  }

  // A product that leaves the deltas of the last timestep where `backward` reads them, or, where
  // the derivative is not fused, the gradients of its states: one thread runs it before each
  // `backward`, having filled in a and lda.
  [[nodiscard]] PackedGemm last_deltas(const RowSchedule& schedule) const;
  // From there, or from the gradients that the layer above has left, back through the segment that
  // is kept, the last one first. Changes nothing that `forward` left.
  void backward(const LayerGradients& above, const RowSchedule& schedule,
                const PackedLayer& weights, const Team& team);
  // Gradients of b, Wx and Wh.
  [[nodiscard]] std::array<MatrixView, 3> gradients() const;

 private:
  [[nodiscard]] Timestep timestep(const RowSchedule& schedule, std::size_t t) const;
  // h of row n after timestep t of the group, which is before the window or of the kept segment.
  [[nodiscard]] const float* state_after(const RowSchedule& schedule, std::size_t n,
                                         std::size_t t) const;
  // Row of the gradients of inputs at the first sequence of timestep t.
  [[nodiscard]] std::size_t input_gradient_row(const RowSchedule& schedule, std::size_t t) const {
    return has_all_gradients_ ? schedule.offset(t) : schedule.kept_offset(t);
  }
  void gather_inputs(const LayerInputs& inputs, const RowSchedule& schedule, Range timesteps,
                     const Team& team) const;
  void add_inputs(const RowSchedule& schedule, const PackedLayer& weights, Range timesteps,
                  const Team& team);
  void pool(const RowSchedule& schedule, std::size_t t, const Timestep& step,
            const Team& team) const;

  // h and c of row n before the first timestep of a segment.
  [[nodiscard]] float* saved_state(const RowSchedule& schedule, std::size_t segment,
                                   std::size_t n) const;

  // `block`: timesteps whose deltas are kept together.
  [[nodiscard]] Range block_before(const RowSchedule& schedule, std::size_t end) const;
  void delta_step(const LayerGradients& above, const RowSchedule& schedule,
                  const PackedLayer& weights, const PackedGemmPlan& product, std::size_t t,
                  Range block, RowsAhead ahead);
  [[nodiscard]] bool prefetches(const RowSchedule& schedule, const Team& team) const;
  [[nodiscard]] RowsAhead rows_after(const RowSchedule& schedule, std::size_t t,
                                     std::size_t end) const;
  [[nodiscard]] RowsAhead rows_before(const RowSchedule& schedule, std::size_t t) const;
  void clear_gradient(const Team& team);
  void clear_next_deltas(std::size_t rows, const Team& team);
  void add_gradients(const LayerGradients& above, const RowSchedule& schedule, std::size_t t,
                     Range units, bool adds, float* gradients) const;
  void find_input_gradients(const RowSchedule& schedule, const PackedLayer& weights, Range block,
                            const Team& team) const;
  void clear_gradients_of_c(std::size_t rows, Range units) const;
  void accumulate_weights(const RowSchedule& schedule, Range block, const Team& team);
  void accumulate_packed(std::size_t depth, const float* z, const Team& team);
  [[nodiscard]] float* deltas_at(const RowSchedule& schedule, std::size_t t, Range block) const;

  LayerSize size_;
  RowLayout layout_;
  RowLayout final_layout_;
  std::size_t max_rows_;
  std::size_t ring_steps_;
  std::size_t together_;  // see timesteps_together
  Pool pool_;
  float* window_ = nullptr;
  float* outputs_ = nullptr;          // see WindowMemory
  float* input_gradients_ = nullptr;  // [rows of the window][inputs], where a layer is below
  bool has_all_gradients_ = false;
  std::size_t input_gradient_stride_;
  std::span<float> ring_;  // ring buffer: rows of Z before the window
  std::span<float> sums_;  // of `together` timesteps, where rows of Z have none
  std::span<float> finals_;
  std::span<float>
      saved_;  // [rows of segment after segment][h and c], before their first timesteps

  std::size_t delta_stride_;
  std::span<float> next_deltas_;  // [rows][sums], of the first timestep of the block after this
  std::span<float> deltas_;       // [rows of a block of timesteps][sums]
  std::size_t gradient_of_states_stride_ = 0;
  std::span<float> gradients_of_states_;  // [rows][h and c], of cells whose deltas are elsewhere
  // Of large weights: the deltas that x and h meet, and [1, x, h] of those timesteps, transposed.
  PackedMatrix packed_deltas_;
  PackedMatrix packed_state_deltas_;  // where they are not the same
  std::span<float> inputs_;
  std::span<float> gradient_;
};

}  // namespace lockstep
