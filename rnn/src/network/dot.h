// Sums that have one order on every machine, and vectorise.
#pragma once

#include <array>
#include <cstddef>
#include <numeric>

namespace lockstep {

// The dot product of a and b [n] over a fixed number of partial sums.
template <std::size_t kSums, class T>
double dot(const T* a, const T* b, std::size_t n) {
  std::array<double, kSums> sums{};
  std::size_t i = 0;
  for (; i + kSums <= n; i += kSums) {
    for (std::size_t lane = 0; lane < kSums; ++lane) {
      sums[lane] += static_cast<double>(a[i + lane]) * static_cast<double>(b[i + lane]);
    }
  }
  for (std::size_t lane = 0; i < n; ++i, ++lane) {
    sums[lane] += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  }
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

}  // namespace lockstep
