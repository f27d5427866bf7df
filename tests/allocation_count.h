#pragma once

#include <cstddef>
#include <optional>

namespace lockstep {

// Calls of operator new in this process so far. Nothing in a build with sanitizers, whose own
// operators must stay.
std::optional<std::size_t> allocation_count();

}  // namespace lockstep
