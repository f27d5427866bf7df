#pragma once

#include <string_view>

#include "microkernels.h"

namespace lockstep {

// The table of one Highway target, named as Highway names it ("AVX3"), or null where the installed
// Highway, the compiler or the options did not build it. Does not ask the CPU.
BackendTable highway_target(std::string_view target);

}  // namespace lockstep
