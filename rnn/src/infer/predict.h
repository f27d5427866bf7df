#pragma once

#include <span>
#include <vector>

#include "data/inputs.h"
#include "lockstep/rnn/predict.h"
#include "lockstep/rnn/trainer.h"

namespace lockstep {

// As the public function, of data that are normalized on the way. Throws Interrupted. `ranks`,
// which may be null, share the sequences out, and each gets all outputs.
[[nodiscard]] std::vector<float> predict_proba(const Parameters& parameters, const Inputs& inputs,
                                               int threads,
                                               const IsInterrupted& is_interrupted = {},
                                               Ranks* ranks = nullptr);

// As `predict` chooses from these outputs. Throws std::invalid_argument for a network of values.
[[nodiscard]] std::vector<int> most_probable(const Network& network,
                                             std::span<const float> probabilities);

}  // namespace lockstep
