// How fast messages between two ranks are.
#pragma once

#include "lockstep/rnn/ranks.h"
#include "ranks/cost_model.h"

namespace lockstep {

// Between the first rank and the last, medians of some exchanges, tens of MB in all; the others do
// nothing. There are at least two.
[[nodiscard]] Link measure_link(Ranks& ranks);

}  // namespace lockstep
