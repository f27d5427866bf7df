// The linear layer from the outputs of the last layer to those of the network, forward and back.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include "heads/head.h"
#include "heads/loss_settings.h"
#include "layers/pool.h"
#include "layers/recurrent_layer.h"
#include "layers/workspace.h"
#include "lockstep/gemm.h"
#include "lockstep/rnn/dataset.h"
#include "lockstep/rnn/network.h"
#include "lockstep/rnn/options.h"
#include "lockstep/threads.h"

namespace lockstep {

// A copy of the weights of the head.
struct PackedOutput {
  PackedOutput(Workspace& workspace, const Network& network, Purpose purpose);
  // Packs this thread's share of by, Wy; the caller puts a barrier behind it.
  void pack(std::span<const float> parameters, const Team& team);

  // y = by + h Wy of as many outputs h of the last layer as `y` has rows.
  void run(const float* h, std::size_t ldh, const MatrixView& y) const;

  const Head& head;
  std::span<float> bias;
  PackedMatrix weights;
  // Of a training: the rows of Wy for each direction of the last layer, transposed.
  std::vector<PackedMatrix> weights_back;
};

// What find_loss has found since begin_loss.
struct LossTotals {
  double loss = 0;     // sum of all rows, each times its weight
  double weight = 0;   // of all rows
  double right = 0;    // outputs
  double targets = 0;  // that are known
};

// Memory for rows of outputs, of sequences or timesteps.
struct OutputMemory {
  OutputMemory() = default;
  OutputMemory(Workspace& workspace, const Network& network, Purpose purpose, std::size_t count,
               bool in_segments = false);
  // From row `first` on.
  [[nodiscard]] OutputMemory from(std::size_t first) const;

  bool by_segments = false;  // rows of one segment at a time
  RowLayout states{0, 0};    // rows [1, h] of the outputs of the last layer
  std::size_t cols = 0;
  std::size_t stride = 0;  // of outputs
  std::span<float> rows;   // of heads of timesteps, on the way back the gradients in place of h
  std::span<float> outputs;
  // Of a training:
  std::span<int> labels;      // of heads with classes
  std::span<double> weights;  // of the targets in the loss
  std::span<float> targets;   // [rows][cols], of the others
  std::span<double> losses;
};

// The outputs of a leaf or chunk of sequences, a row for each sequence or for each of its
// timesteps; in training also their losses and the gradient of the weights.
class OutputLayer {
 public:
  // For up to `max_rows` sequences; rows of timesteps are kept where keep_rows_in says.
  OutputLayer(Workspace& workspace, const Network& network, std::size_t max_rows, Purpose purpose);
  void keep_rows_in(const OutputMemory& memory, const FirstRows& first) {
    if (of_steps_) memory_ = memory.from(memory.by_segments ? first.of_kept : first.of_all);
  }

  // Of the directions of the last layer, which pool into it; those of a network that reads the last
  // states are empty.
  [[nodiscard]] const Pool& pool(bool backward) const { return pools_[backward ? 1 : 0]; }

  // Of a step head: takes the outputs of a direction of the last layer at the timesteps of the
  // segment that is kept, a thread's share. Before `forward`, with a barrier between.
  void read_steps(const RowSchedule& schedule, const RecurrentLayer& layer, const Team& team) const;
  // Outputs from the last states, from what was pooled by the same thread, or from the states of
  // its timesteps; the threads of `team` share the rows.
  void forward(const RowSchedule& schedule, std::span<const RecurrentLayer> last,
               const PackedOutput& weights, const Team& team) const;
  [[nodiscard]] MatrixView outputs(Range rows) const {
    return {memory_.outputs.data() + rows.begin * memory_.stride, rows.size(), memory_.cols,
            memory_.stride};
  }

  // The number of rows: of step heads, those of their timesteps, in the order of the window.
  [[nodiscard]] std::size_t rows(const RowSchedule& schedule) const {
    if (!of_steps_) return schedule.rows();
    const Range steps = timesteps(schedule);
    return schedule.offset(steps.end) - schedule.offset(steps.begin);
  }
  [[nodiscard]] bool is_of_steps() const { return of_steps_; }
  // Whether it has the timesteps of one segment at a time, and not of the whole window.
  [[nodiscard]] bool is_by_segments() const { return memory_.by_segments; }

  // Calls visit(row, n, own) for some rows of a step head: of row n's own timestep `own`.
  template <class Visit>
  void for_steps(const RowSchedule& schedule, Range rows, const Visit& visit) const {
    std::size_t t = timesteps(schedule).begin;
    const std::size_t first = schedule.offset(t);
    for (std::size_t row = rows.begin; row < rows.end; ++row) {
      while (first + row >= schedule.offset(t + 1)) ++t;
      const std::size_t n = first + row - schedule.offset(t);
      visit(row, n, t - schedule.start(n));
    }
  }

  // Losses, in place of the outputs their gradients, and from there what they add to the gradient
  // of the weights: of segments one after another, in the order of time. A run that repeats an
  // earlier one adds nothing. By one thread.
  void begin_loss();
  void find_loss(const Dataset& data, const RowSchedule& schedule, const Head& head,
                 const LossSettings& settings, Run run);
  // The gradients of the last states, in `last`, or of what else the head has read. By one thread;
  // may be repeated.
  void backward(const RowSchedule& schedule, std::span<const RecurrentLayer> last,
                const PackedOutput& weights);
  // Gradients of by and Wy.
  [[nodiscard]] std::array<MatrixView, 2> gradients() const;
  [[nodiscard]] const LossTotals& totals() const { return totals_; }
  // Whether it has gradients of all timesteps, and not of the last states alone.
  [[nodiscard]] bool reads_all_steps() const { return of_steps_ || !pools_[0].empty(); }
  // Then those of some outputs of a direction of the last layer, of row n at its own timestep
  // `own`, in the place of those at `h` or added to them.
  void write_gradients(const RowSchedule& schedule, std::size_t n, std::size_t own, Range units,
                       bool backward, bool adds, float* h) const;

 private:
  // Of a step head, those that it has rows of.
  [[nodiscard]] Range timesteps(const RowSchedule& schedule) const {
    return is_by_segments() ? schedule.segment(schedule.kept()) : schedule.window();
  }
  // The row of row n at its own timestep `own`.
  [[nodiscard]] std::size_t step_row(const RowSchedule& schedule, std::size_t n,
                                     std::size_t own) const {
    const std::size_t t = schedule.start(n) + own;
    return schedule.offset(t) - schedule.offset(timesteps(schedule).begin) + n;
  }
  void weigh_gradients(std::size_t row) const;
  void count(const HeadRows& all, std::size_t row);
  void add_gradient(std::size_t count);
  void take_targets(const Dataset& data, const RowSchedule& schedule,
                    std::span<const float> class_weights) const;
  [[nodiscard]] PackedGemm gradients_of_states(const RowSchedule& schedule,
                                               const RecurrentLayer& layer,
                                               std::size_t direction) const;
  void read_states(const RowSchedule& schedule, std::span<const RecurrentLayer> last,
                   Range rows) const;

  bool of_steps_;
  bool has_labels_;
  std::size_t inputs_;
  std::size_t hidden_;  // of a direction
  OutputMemory memory_;
  std::vector<Pool> pools_;
  std::span<float> gradient_;
  LossTotals totals_;
};

}  // namespace lockstep
