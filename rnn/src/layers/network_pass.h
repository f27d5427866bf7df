// A network from data to outputs and back.
#pragma once

#include <span>
#include <vector>

#include "layers/dropout.h"
#include "layers/layer_links.h"
#include "layers/output_layer.h"
#include "layers/recurrent_layer.h"
#include "layers/row_schedule.h"
#include "layers/workspace.h"
#include "lockstep/rnn/parameters.h"

namespace lockstep {

// A copy of the weights of a network.
struct PackedNetwork {
  PackedNetwork(Workspace& workspace, const Network& network, Purpose purpose);

  // Packs this thread's share; the caller puts a barrier behind it.
  void pack(const Parameters& parameters, const Team& team);

  // Numbers of all recurrent weights, and the most panels that a layer has.
  [[nodiscard]] std::size_t recurrent_weights() const;
  [[nodiscard]] std::size_t panels() const;

  std::vector<PackedLayer> layers;  // their directions, in the order of layer_sizes
  PackedOutput output;
};

// See timesteps_together, which is asked for each layer: the most that one wants.
[[nodiscard]] std::size_t timesteps_together(const PackedNetwork& weights, std::size_t rows);

// Memory for the windows of all layers, and for what the head has of them.
struct Windows {
  std::vector<WindowMemory> layers;
  OutputMemory output;
};

// The memory for `timesteps` timesteps of all sequences that layers keep, and `of_head` that a head
// of timesteps has. In an inference nobody reads the timesteps of the last layer but such a head.
[[nodiscard]] Windows take_windows(Workspace& workspace, const Network& network, Purpose purpose,
                                   std::size_t timesteps, std::size_t of_head);

// Where the memory of a leaf begins in that for all of them.
struct FirstRows {
  std::size_t of_layers = 0;
  std::size_t of_head = 0;
};

// Whether a training can keep a part of the windows: no layer reads what another, bidirectional one
// makes of all timesteps.
[[nodiscard]] bool can_divide_windows(const Network& network);

// A leaf or chunk of sequences in the forward and the backward pass.
class NetworkPass {
 public:
  NetworkPass(Workspace& workspace, const Network& network, const RecurrentLayer::Limits& limits,
              const Dropout* dropout = nullptr);

  // Keeps the windows of what `schedule` holds in this memory, from row `first` of each layer on.
  void keep_windows_in(const Windows& memory, FirstRows first);
  // Divides the window of what `schedule` holds into segments, if the limits say so.
  void divide_window();

  // Runs all timesteps of what `schedule` holds, up to the outputs; the threads of `team` share the
  // columns.
  void forward(const Inputs& data, const PackedNetwork& weights, const Team& team);
  // From the gradients of the outputs those of the weights, of the same data. May be repeated. Runs
  // segments of which no state is kept forward again.
  void backward(const Inputs& data, const PackedNetwork& weights, const Team& team);

  // The directions of the last layer.
  [[nodiscard]] std::span<const RecurrentLayer> last() const { return of_layer(levels_ - 1); }
  // The gradient of a tensor, counted as Parameters::tensors.
  [[nodiscard]] MatrixView gradient(std::size_t tensor) const {
    const std::size_t layer = tensor / kTensorsOfLayer;
    return layer < layers.size() ? layers[layer].gradients()[tensor % kTensorsOfLayer]
                                 : output.gradients()[tensor % kTensorsOfLayer];
  }

  RowSchedule schedule;
  std::vector<RecurrentLayer> layers;  // as PackedNetwork::layers
  OutputLayer output;

 private:
  [[nodiscard]] std::span<const RecurrentLayer> of_layer(std::size_t level) const;
  // Calls work(number, team) for each direction of a layer, for both at once where the team has two
  // halves; a barrier behind.
  template <class Work>
  void for_directions(std::size_t level, const Team& team, const Work& work);
  [[nodiscard]] LayerInputs inputs_of(const RecurrentLayer& layer, const Inputs& data) const;
  [[nodiscard]] LayerGradients gradients_of(const RecurrentLayer& layer) const;
  void forward(const Inputs& data, const PackedNetwork& weights, Range timesteps, Run run,
               const Team& team);
  void read_steps(Range timesteps, const Team& team) const;
  void keep_segment(std::size_t segment, const Team& team);

  std::size_t segment_rows_;  // 0: windows are not divided
  std::size_t levels_;        // layers, each with all its directions
  std::size_t block_;         // timesteps that a layer takes before the next has its turn
  const Dropout* dropout_;
};

// A pass with memory for the windows of its own.
struct PassWithWindows {
  // `timesteps`: of the windows of all sequences together.
  PassWithWindows(Workspace& workspace, const Network& network,
                  const RecurrentLayer::Limits& limits, std::size_t timesteps)
      : pass(workspace, network, limits),
        windows(take_windows(workspace, network, limits.purpose, timesteps, timesteps)) {}

  NetworkPass pass;
  Windows windows;
};

}  // namespace lockstep
