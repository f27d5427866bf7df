#pragma once

#include <string_view>

#include "lockstep/backend.h"

namespace lockstep {

// The preset, changed by what LOCKSTEP_CACHES may be. Throws InvalidArgument for other text.
Caches parse_caches(std::string_view text, Caches preset);

}  // namespace lockstep
