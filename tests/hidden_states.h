// The states of a sequence as training computes and keeps them, not as a stream tells them.
#pragma once

#include <cstddef>
#include <vector>

#include "layers/network_pass.h"
#include "lockstep/aligned_vector.h"
#include "lockstep/rnn/dataset.h"
#include "networks.h"

namespace lockstep {

// h_1, h_2, ... [steps][H] of sequence i.
inline std::vector<float> hidden_states(const Parameters& parameters, const Dataset& data,
                                        std::size_t i) {
  const Network& network = parameters.network();
  const LayerSize size(network);
  const std::size_t steps = data.length(i);
  WithMemory<NetworkPass> pass(
      network, RecurrentLayer::Limits{.rows = 1, .steps = steps, .window = steps, .together = 1});
  pass->schedule.assign(data, std::vector<std::size_t>{i}, 0, 1, steps);
  const RowLayout layout = size.layout();
  AlignedVector<float> rows(pass->schedule.window_rows() * layout.stride);
  for (std::size_t j = layout.one; j < rows.size(); j += layout.stride) rows[j] = 1.0f;
  pass->layer.keep_window_at(rows.data());
  WithMemory<PackedNetwork> weights(network, Purpose::training);
  weights->pack(parameters, Team());
  pass->forward(data, *weights, Team());
  std::vector<float> states;
  for (std::size_t t = 1; t <= steps; ++t) {  // a row holds the state before its timestep
    const float* h = t < steps ? pass->layer.rows_at(pass->schedule, t) + layout.state
                               : pass->layer.finals() + size.final_layout().state;
    states.insert(states.end(), h, h + size.hidden);
  }
  return states;
}

}  // namespace lockstep
