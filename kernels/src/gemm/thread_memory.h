// Memory that products copy operands into.
#pragma once

#include <cstddef>

namespace lockstep {

enum class CopyOf { a, b };

// At least `size` floats for this thread, aligned as AlignedVector. They are kept for later
// products, in powers of two so that few of them ask for more, and freed when the thread ends.
// Throws std::bad_alloc.
[[nodiscard]] float* thread_memory(CopyOf operand, std::size_t size);

}  // namespace lockstep
