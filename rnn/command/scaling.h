// What a training over several ranks would gain.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "commands.h"
#include "lockstep/rnn/network.h"
#include "ranks/cost_model.h"
#include "train/step_trial.h"

namespace lockstep::command {

/// Of a network, a minibatch and a link.
struct Scaling {
  Network network;
  std::size_t parameters;
  std::size_t rows;    ///< sequences of a minibatch
  std::size_t length;  ///< timesteps of each
  std::size_t leaves;  ///< of a minibatch
  int threads;         ///< of each rank, at most
  Link link;
  TimedStep timed{};
  std::vector<StepCost> costs{};  ///< of 1, 2, 4, ... ranks, and of as many as were asked for
  Gain gain{};
  std::string advice{};  ///< a sentence

  [[nodiscard]] double speed_up(const StepCost& cost) const {
    return costs[0].seconds() / cost.seconds();
  }
};

/// Times steps on this machine. Throws UsageError.
[[nodiscard]] Scaling scaling_of(const InfoCommand& command);

/// "none", "leaves", "bandwidth" or "latency".
[[nodiscard]] const char* limit_name(GainLimit limit);

[[nodiscard]] std::string scaling_text(const Scaling& scaling);
/// A JSON object on a line of its own.
[[nodiscard]] std::string scaling_json(const Scaling& scaling);

}  // namespace lockstep::command
