#pragma once

#include <stdexcept>
#include <string>

namespace lockstep {

[[noreturn, gnu::cold, gnu::noinline]] inline void fail(const char* function,
                                                        const char* requirement) {
  throw std::invalid_argument(std::string(function) + ": " + requirement);
}

// Throws std::invalid_argument("<function>: <requirement>") unless `holds`; allocates only then.
inline void require(bool holds, const char* function, const char* requirement) {
  if (!holds) fail(function, requirement);
}

}  // namespace lockstep
