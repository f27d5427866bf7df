// Checks of arguments, for both libraries. Not installed.
#pragma once

#include <string>

#include "lockstep/error.h"

namespace lockstep {

[[noreturn, gnu::cold, gnu::noinline]] inline void fail(const char* function,
                                                        const char* requirement) {
  throw InvalidArgument(std::string(function) + ": " + requirement);
}

// Throws InvalidArgument("<function>: <requirement>") unless `holds`; allocates only then.
inline void require(bool holds, const char* function, const char* requirement) {
  if (!holds) fail(function, requirement);
}

}  // namespace lockstep
