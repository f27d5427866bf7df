#pragma once

#include <stdexcept>
#include <string>

namespace lockstep {

// Throws std::invalid_argument("<function>: <requirement>") unless `holds`; allocates only then.
inline void require(bool holds, const char* function, const char* requirement) {
  if (!holds) throw std::invalid_argument(std::string(function) + ": " + requirement);
}

}  // namespace lockstep
