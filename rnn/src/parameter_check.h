#pragma once

#include <stdexcept>
#include <string>

#include "lockstep/rnn/model.h"

namespace lockstep {

// Throws std::invalid_argument in the name of `function` for RnnParameters() and for what was moved
// from, whose shape may still tell of weights.
inline void require_whole(const RnnParameters& parameters, const char* function) {
  if (parameters.is_whole()) return;
  throw std::invalid_argument(std::string(function) +
                              ": the parameters are empty or do not have the sizes of their shape");
}

}  // namespace lockstep
