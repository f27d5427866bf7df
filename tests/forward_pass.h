// A forward pass as training makes it, and what it leaves.
#pragma once

#include <cstddef>
#include <vector>

#include "layers/network_pass.h"
#include "lockstep/rnn/dataset.h"
#include "lockstep/threads.h"
#include "networks.h"

namespace lockstep {

// Over all sequences, the longest first.
struct ForwardPass {
  ForwardPass(const Parameters& parameters, const Dataset& data, std::size_t together,
              std::size_t window, int threads)
      : memory(parameters.network(),
               RecurrentLayer::Limits{.purpose = Purpose::training,
                                      .rows = data.size(),
                                      .steps = 1 + data.max_length(),
                                      .window = data.max_length(),
                                      .together = together},
               data.size() * data.max_length()),
        pass(memory->pass) {
    std::vector<std::size_t> ordered = first_indices(data.size());
    order_by_length(data, ordered);
    pass.schedule.assign(data, ordered, 0, 1, window);
    pass.keep_windows_in(memory->windows, {});
    WithMemory<PackedNetwork> weights(parameters.network(), Purpose::training);
    weights->pack(parameters, Team());
    parallel(threads, [&](const Team& team) { pass.forward(data, *weights, team); });
  }

  WithMemory<PassWithWindows> memory;
  NetworkPass& pass;
};

// h_1, h_2, ... of the last layer, both directions: [steps][H or 2 H], of sequence i.
inline std::vector<float> hidden_states(const Parameters& parameters, const Dataset& data,
                                        std::size_t i) {
  const std::size_t steps = data.length(i);
  const Dataset one = data.subset(std::vector<std::size_t>{i});
  const ForwardPass run(parameters, one, 1, steps, 1);
  std::vector<float> states;
  for (std::size_t t = 0; t < steps; ++t) {
    for (const RecurrentLayer& layer : run.pass.last()) {
      const float* h = layer.output(run.pass.schedule, 0, t);
      states.insert(states.end(), h, h + layer.size().hidden);
    }
  }
  return states;
}

}  // namespace lockstep
