// A network from data to outputs and back.
#pragma once

#include <functional>
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

// In an inference nobody reads the timesteps of the last layer but a head of timesteps.
[[nodiscard]] Windows take_windows(Workspace& workspace, const Network& network, Purpose purpose,
                                   const WindowTimesteps& timesteps);

// A leaf or chunk of sequences in the forward and the backward pass.
class NetworkPass {
 public:
  // `loss`: of a training, whose forward pass ends with the loss.
  NetworkPass(Workspace& workspace, const Network& network, const RecurrentLayer::Limits& limits,
              const Dropout* dropout = nullptr, const LossSettings* loss = nullptr);

  // Keeps the windows of what `schedule` holds in this memory, from these rows of each layer on.
  void keep_windows_in(const Windows& memory, const FirstRows& first);
  // Divides the window of what `schedule` holds into segments, if the limits say so.
  void divide_window();

  // Runs all timesteps of what `schedule` holds, up to the outputs or the loss; the threads of
  // `team` share the columns.
  void forward(const Inputs& data, const PackedNetwork& weights, const Team& team);
  // From the gradients of the outputs those of the weights, of the same data. May be repeated. Runs
  // segments of which no state is kept forward again. `on_layer`: called by each thread with each
  // layer, from the last to the first, whose gradients are complete behind a barrier.
  void backward(const Inputs& data, const PackedNetwork& weights, const Team& team,
                const std::function<void(std::size_t)>& on_layer = {});

  // The directions of the last layer.
  [[nodiscard]] std::span<const RecurrentLayer> last() const { return of_level(levels_ - 1); }
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
  [[nodiscard]] std::span<const RecurrentLayer> of_levels(Range levels) const;
  [[nodiscard]] std::span<const RecurrentLayer> of_level(std::size_t level) const {
    return of_levels({level, level + 1});
  }
  // Calls work(number, team) for each direction of a layer, for both at once where the team has two
  // halves; a barrier behind.
  template <class Work>
  void for_directions(std::size_t level, const Team& team, const Work& work);
  [[nodiscard]] LayerInputs inputs_of(const RecurrentLayer& layer, const Inputs& data) const;
  [[nodiscard]] LayerGradients gradients_of(const RecurrentLayer& layer) const;
  // A stage: layers that take a segment of timesteps together, since each of them reads of the one
  // below the same timesteps. A bidirectional layer is alone: its directions begin at opposite
  // ends, so the layer above and the gradients for the one below wait for all segments.
  [[nodiscard]] bool begins_stage(std::size_t level) const;
  [[nodiscard]] Range stage_from(std::size_t level) const;
  [[nodiscard]] Range stage_before(std::size_t level) const;
  [[nodiscard]] bool is_last(Range stage) const { return stage.end == levels_; }
  void forward(const Inputs& data, const PackedNetwork& weights, Range stage, Range timesteps,
               Run run, const Team& team);
  [[nodiscard]] std::size_t forward_to_window(const Inputs& data, const PackedNetwork& weights,
                                              Range stage, const Team& team);
  void forward_segments(const Inputs& data, const PackedNetwork& weights, Range stage,
                        const Team& team);
  void read_steps(const Team& team) const;
  void run_head(const Inputs& data, const PackedNetwork& weights, Run run, const Team& team);
  void find_state_gradients(const PackedNetwork& weights, const Team& team);
  void keep_segment(Range stage, std::size_t segment, const Team& team);
  void bring_back(const Inputs& data, const PackedNetwork& weights, Range stage,
                  std::size_t segment, const Team& team);

  std::size_t segment_rows_;     // 0: windows are not divided
  std::size_t levels_;           // layers, each with all its directions
  std::span<std::size_t> kept_;  // segment whose states a stage has in memory, of its first layer
  std::size_t block_;            // timesteps that a layer takes before the next has its turn
  const Dropout* dropout_;
  const LossSettings* loss_;
};

// A pass with memory for the windows of its own.
struct PassWithWindows {
  // `timesteps`: of the windows of all sequences together.
  PassWithWindows(Workspace& workspace, const Network& network,
                  const RecurrentLayer::Limits& limits, std::size_t timesteps)
      : pass(workspace, network, limits),
        windows(take_windows(workspace, network, limits.purpose,
                             {.all = timesteps, .kept = timesteps})) {}

  NetworkPass pass;
  Windows windows;
};

}  // namespace lockstep
