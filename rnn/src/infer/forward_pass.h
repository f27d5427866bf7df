// The way forward alone, of predictions and streams.
#pragma once

#include <cstddef>

#include "heads/output_layer.h"
#include "layers/recurrent_layer.h"
#include "layers/row_schedule.h"
#include "layers/workspace.h"
#include "lockstep/rnn/parameters.h"

namespace lockstep {

// A copy of the weights of a network in the order in which the products read them.
struct PackedNetwork {
  PackedNetwork(Workspace& workspace, const Network& network)
      : layer(workspace, LayerSize(network), false), output(workspace, network, false) {}

  // Packs this thread's share; the caller puts a barrier behind it.
  void pack(const Parameters& parameters, const Team& team) {
    const std::size_t count = layer.size().rows() * layer.size().hidden;
    layer.pack(parameters.values().first(count), team);
    output.pack(parameters.values().subspan(count), team);
  }

  PackedLayer layer;
  PackedOutput output;
};

// A chunk of sequences on their way to the outputs.
struct ForwardPass {
  ForwardPass(Workspace& workspace, const Network& network, const RecurrentLayer::Limits& limits)
      : schedule(workspace, limits.rows, limits.window),
        layer(workspace, LayerSize(network), limits),
        output(workspace, network, limits.rows, false) {}

  // Runs all timesteps of what `schedule` holds; the threads of `team` share the columns.
  void run(const Dataset& data, const PackedNetwork& weights, const Team& team) {
    layer.forward(data, schedule, weights.layer, team);
    output.forward(schedule, layer, weights.output, team);
  }

  RowSchedule schedule;
  RecurrentLayer layer;
  OutputLayer output;
};

}  // namespace lockstep
