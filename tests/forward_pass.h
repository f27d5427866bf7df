// A forward pass as training makes it, and what it leaves.
#pragma once

#include <cstddef>
#include <vector>

#include "layers/network_pass.h"
#include "lockstep/aligned_vector.h"
#include "lockstep/rnn/dataset.h"
#include "lockstep/threads.h"
#include "networks.h"

namespace lockstep {

// Over all sequences, the longest first.
struct ForwardPass {
  ForwardPass(const Parameters& parameters, const Dataset& data, std::size_t together,
              std::size_t window, int threads)
      : pass(parameters.network(), RecurrentLayer::Limits{.rows = data.size(),
                                                          .steps = 1 + data.max_length(),
                                                          .window = data.max_length(),
                                                          .together = together}) {
    std::vector<std::size_t> ordered = first_indices(data.size());
    order_by_length(data, ordered);
    pass->schedule.assign(data, ordered, 0, 1, window);
    const Network& network = parameters.network();
    const RowLayout layout = layout_of(LayerSize(network));
    rows.resize(pass->schedule.window_rows() * layout.stride);
    for (std::size_t i = layout.one; i < rows.size(); i += layout.stride) rows[i] = 1.0f;
    pass->layer.keep_window_at(rows.data());
    WithMemory<PackedNetwork> weights(network, Purpose::inference);
    weights->pack(parameters, Team());
    parallel(threads, [&](const Team& team) { pass->forward(data, *weights, team); });
  }

  WithMemory<NetworkPass> pass;
  AlignedVector<float> rows;  // of the window
};

// h_1, h_2, ... [steps][H] of sequence i.
inline std::vector<float> hidden_states(const Parameters& parameters, const Dataset& data,
                                        std::size_t i) {
  const LayerSize size(parameters.network());
  const std::size_t steps = data.length(i);
  const Dataset one = data.subset(std::vector<std::size_t>{i});
  const ForwardPass run(parameters, one, 1, steps, 1);
  std::vector<float> states;
  for (std::size_t t = 1; t <= steps; ++t) {  // a row holds the state before its timestep
    const float* h = t < steps
                         ? run.pass->layer.rows_at(run.pass->schedule, t) + layout_of(size).state
                         : run.pass->layer.finals() + final_layout_of(size).state;
    states.insert(states.end(), h, h + size.hidden);
  }
  return states;
}

}  // namespace lockstep
