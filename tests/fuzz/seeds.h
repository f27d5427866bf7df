// Inputs that depend on the version of Lockstep, and are made anew: models and checkpoints.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lockstep/rnn/dataset.h"

namespace lockstep::fuzz {

struct Seed {
  std::string_view target;
  std::string name;
  std::string bytes;
};

// Each of them is read.
[[nodiscard]] std::vector<Seed> written_seeds();

// What the checkpoints are trainings on.
[[nodiscard]] const Dataset& training_data();
// A model of two channels and outputs with other metadata.
[[nodiscard]] std::string model_with_metadata(std::string_view metadata);
// A checkpoint with its weights and the like as they should be, but another state.
[[nodiscard]] std::string checkpoint_with_state(std::string state);

}  // namespace lockstep::fuzz
