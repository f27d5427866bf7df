// How long the work of a training step takes on this machine.
#pragma once

#include <cstddef>

#include "lockstep/rnn/network.h"
#include "lockstep/rnn/options.h"
#include "ranks/cost_model.h"

namespace lockstep {

// Minibatches to time.
struct StepTrial {
  const Network& network;  // whose head classifies
  const Options& options;  // without Options::truncate
  std::size_t rows;        // sequences, at least 1
  std::size_t length;      // timesteps of each, at least 1

  [[nodiscard]] std::size_t leaves() const;
};

struct TimedStep {
  StepWork work{};
  std::size_t leaf_rows =
      0;                   // sequences of a leaf that were timed, and their timesteps; where they
  std::size_t length = 0;  // are fewer than asked for, the times are extrapolated
};

// Runs steps on random data, for about a second in all unless a timestep of a leaf takes long.
// The least of a few times counts. Throws std::bad_alloc.
[[nodiscard]] TimedStep time_step(const StepTrial& trial);

}  // namespace lockstep
