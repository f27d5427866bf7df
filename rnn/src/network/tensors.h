// How the numbers of a network are cut into tensors.
#pragma once

#include <cstddef>
#include <vector>

#include "lockstep/rnn/parameters.h"

namespace lockstep {

[[nodiscard]] std::vector<Tensor> tensors_of(const Network& network);
[[nodiscard]] std::size_t parameter_count(const Network& network);

// Throws std::invalid_argument in the name of `function` for Parameters() and for what was moved
// from.
void require_parameters(const Parameters& parameters, const char* function);

}  // namespace lockstep
