// The linear layer from the last states to the outputs of the network, forward and back.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include "heads/head.h"
#include "layers/pool.h"
#include "layers/recurrent_layer.h"
#include "layers/workspace.h"
#include "lockstep/gemm.h"
#include "lockstep/rnn/dataset.h"
#include "lockstep/rnn/network.h"
#include "lockstep/threads.h"
#include "lookup.h"

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

// The outputs of a leaf or chunk of sequences; in training also their losses and the gradient of
// the weights.
class OutputLayer {
 public:
  OutputLayer(Workspace& workspace, const Network& network, std::size_t max_rows, Purpose purpose);

  // Of the directions of the last layer, which pool into it; those of a network that reads the last
  // states are empty.
  [[nodiscard]] const Pool& pool(bool backward) const { return pools_[backward ? 1 : 0]; }

  // Outputs of all sequences from their last states, or from what was pooled by the same thread;
  // the threads of `team` share the sequences.
  void forward(const RowSchedule& schedule, std::span<const RecurrentLayer> last,
               const PackedOutput& weights, const Team& team) const;
  [[nodiscard]] MatrixView outputs(Range rows) const {
    return {outputs_.data() + rows.begin * stride_, rows.size(), cols_, stride_};
  }

  // Losses, and in place of the outputs their gradients. By one thread.
  void find_loss(const Dataset& data, const RowSchedule& schedule, const Head& head);
  // From there the gradient of the weights, and those of the last states, in `last`, or of what was
  // pooled. By one thread; may be repeated.
  void backward(const RowSchedule& schedule, std::span<const RecurrentLayer> last,
                const PackedOutput& weights);
  // Gradients of by and Wy.
  [[nodiscard]] std::array<MatrixView, 2> gradients() const;
  // What the last find_loss found: the sum of the losses, and the number of right outputs.
  [[nodiscard]] double loss(std::size_t rows) const;
  [[nodiscard]] std::size_t correct() const { return correct_; }

 private:
  void read_states(const RowSchedule& schedule, std::span<const RecurrentLayer> last,
                   Range rows) const;

  RowLayout states_;  // rows [1, h] of the outputs of the last layer
  std::size_t inputs_;
  std::size_t cols_;
  std::size_t stride_;
  std::span<float> rows_;
  std::span<float> outputs_;
  std::vector<Pool> pools_;
  std::span<float> gradient_;
  std::span<int> labels_;
  std::span<double> losses_;
  std::size_t correct_ = 0;
};

}  // namespace lockstep
