// The linear layer from the last states to the outputs, forward and back.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

#include "heads/head.h"
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
  PackedOutput(Workspace& workspace, const Network& network, Purpose purpose)
      : head(find_named(kHeads, network.head, "head")),
        bias(workspace.take<float>(network.outputs)),
        weights(workspace, network.layers.back().hidden, network.outputs,
                purpose == Purpose::training ? network.layers.back().hidden : 0) {}
  // Packs this thread's share of by, Wy; the caller puts a barrier behind it.
  void pack(std::span<const float> parameters, const Team& team) {
    if (team.index() == 0) std::copy_n(parameters.begin(), bias.size(), bias.begin());
    weights.pack(parameters.data() + bias.size(), team);
  }

  // y = by + h Wy of as many states as `y` has rows.
  void run(const float* h, std::size_t ldh, const MatrixView& y) const;

  const Head& head;
  std::span<float> bias;
  PackedWeights weights;
};

// The outputs of a leaf or chunk of sequences; in training also their losses and the gradient of
// the weights.
class OutputLayer {
 public:
  OutputLayer(Workspace& workspace, const Network& network, std::size_t max_rows, Purpose purpose);

  // Outputs of all sequences from their last states; the threads of `team` share the sequences.
  void forward(const RowSchedule& schedule, const RecurrentLayer& layer,
               const PackedOutput& weights, const Team& team) const;
  [[nodiscard]] MatrixView outputs(Range rows) const {
    return {outputs_.data() + rows.begin * stride_, rows.size(), cols_, stride_};
  }

  // Losses, and in place of the outputs their gradients. By one thread.
  void find_loss(const Dataset& data, const RowSchedule& schedule, const Head& head);
  // From there the gradient of the weights, and those of the last states, in `layer`. By one
  // thread; may be repeated.
  void backward(const RowSchedule& schedule, const RecurrentLayer& layer,
                const PackedOutput& weights);
  // Gradient of by, Wy: rows gradient_stride() apart.
  [[nodiscard]] float* gradient() const { return gradient_.data(); }
  [[nodiscard]] std::size_t gradient_stride() const { return stride_; }
  // What the last find_loss found: the sum of the losses, and the number of right outputs.
  [[nodiscard]] double loss(std::size_t rows) const;
  [[nodiscard]] std::size_t correct() const { return correct_; }

 private:
  std::size_t hidden_;
  RowLayout states_;
  std::size_t cols_;
  std::size_t stride_;
  std::span<float> outputs_;
  std::span<float> gradient_;
  std::span<int> labels_;
  std::span<double> losses_;
  std::size_t correct_ = 0;
};

}  // namespace lockstep
