#pragma once

#include <cstddef>

#include "lockstep/rnn/options.h"

namespace lockstep {

// Learning rate of an epoch counted from 0.
[[nodiscard]] double scheduled_rate(const Options& options, std::size_t epoch);

}  // namespace lockstep
