#pragma once

#include <cstddef>
#include <optional>

namespace lockstep {

// Calls of operator new in this process so far. Nothing in a build with sanitizers, whose own
// operators must stay.
std::optional<std::size_t> allocation_count();
// The bytes that they asked for together, whether given back or not.
std::optional<std::size_t> allocated_bytes();

}  // namespace lockstep
