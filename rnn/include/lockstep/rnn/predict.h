#pragma once

#include <vector>

#include "lockstep/export.h"
#include "lockstep/rnn/dataset.h"
#include "lockstep/rnn/parameters.h"

namespace lockstep {

/// Probabilities [size][classes] row-major of `data` (already normalized; targets are ignored), or
/// what else the head gives, of heads of timesteps [total_timesteps][outputs], on the active
/// backend. `threads` as resolve_threads. The results depend neither on it nor on the
/// other sequences of the set. Thread-safe. Throws std::invalid_argument for no
/// parameters, and if they have another number of features than the data channels.
[[nodiscard]] LOCKSTEP_API std::vector<float> predict_proba(const Parameters& parameters,
                                                            const Dataset& data, int threads = 0);

/// Index of the largest probability per sequence or timestep (the first of equals), or
/// kNoLabel where the network overflows so that they are NaN; the rest as predict_proba. Throws
/// std::invalid_argument for a network of values.
[[nodiscard]] LOCKSTEP_API std::vector<int> predict(const Parameters& parameters,
                                                    const Dataset& data, int threads = 0);

}  // namespace lockstep
