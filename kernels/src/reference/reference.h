#pragma once

#include "microkernels.h"

namespace lockstep {

// Plain loops in double precision: the oracle that defines each kernel. Runs everywhere.
const Backend& reference_table();

}  // namespace lockstep
