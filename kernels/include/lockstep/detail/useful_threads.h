// Not installed.
#pragma once

#include <algorithm>
#include <cstddef>

namespace lockstep {

// As many of `threads` as there are shares, and as `work` pays for, of which one more thread must
// have `work_per_thread`.
constexpr int useful_threads(double work, double work_per_thread, std::size_t shares, int threads) {
  const double useful = std::min(static_cast<double>(shares), 1 + work / work_per_thread);
  return static_cast<int>(std::min(static_cast<double>(threads), useful));
}

}  // namespace lockstep
