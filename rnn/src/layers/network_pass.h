// A network from data to outputs and back.
#pragma once

#include "layers/output_layer.h"
#include "layers/recurrent_layer.h"
#include "layers/row_schedule.h"
#include "layers/workspace.h"
#include "lockstep/rnn/parameters.h"

namespace lockstep {

// A copy of the weights of a network.
struct PackedNetwork {
  PackedNetwork(Workspace& workspace, const Network& network, Purpose purpose)
      : layer(workspace, LayerSize(network), purpose), output(workspace, network, purpose) {}

  // Packs this thread's share; the caller puts a barrier behind it.
  void pack(const Parameters& parameters, const Team& team) {
    const std::size_t count = layer.size.parameters();
    layer.pack(parameters.values().first(count), team);
    output.pack(parameters.values().subspan(count), team);
  }

  PackedLayer layer;
  PackedOutput output;
};

// A leaf or chunk of sequences in the forward and the backward pass.
struct NetworkPass {
  NetworkPass(Workspace& workspace, const Network& network, const RecurrentLayer::Limits& limits)
      : schedule(workspace, limits.rows, limits.window_steps()),
        layer(workspace, LayerSize(network), limits),
        output(workspace, network, limits.rows, limits.purpose()) {}

  // Runs all timesteps of what `schedule` holds, up to the outputs; the threads of `team` share the
  // columns.
  void forward(const Dataset& data, const PackedNetwork& weights, const Team& team) {
    layer.forward(data, schedule, weights.layer, team);
    output.forward(schedule, layer, weights.output, team);
  }
  // From the gradients of the outputs those of the weights. May be repeated.
  void backward(const PackedNetwork& weights, const Team& team) {
    if (team.index() == 0) output.backward(schedule, layer, weights.output);
    team.barrier();
    layer.backward(schedule, weights.layer, team);
  }

  RowSchedule schedule;
  RecurrentLayer layer;
  OutputLayer output;
};

}  // namespace lockstep
