// What makes the bits of a training. Changing a line here changes results.
#pragma once

#include <array>
#include <cstddef>
#include <numeric>

namespace lockstep {

// A minibatch is dealt into a power of two of leaves, as many as leave each of them kLeafRows
// sequences, or kLargeLeafRows for layers of more than kSmallWeights bytes. The gradients of the
// leaves are added along a balanced binary tree: neighbours, then neighbouring sums.
inline constexpr std::size_t kLeafRows = 8;                            // changes results
inline constexpr std::size_t kLargeLeafRows = 64;                      // changes results
inline constexpr std::size_t kSmallWeights = std::size_t{512} * 1024;  // changes results

// Rows of [1, x, h] that the gradient of the weights takes together, counted from the last
// timestep: the order of its sums.
constexpr std::size_t gradient_depth(std::size_t hidden) {
  return hidden <= 256 ? 128 : 512;  // changes results
}

// Partial sums of the norm of a row of the gradient.
inline constexpr std::size_t kNormSums = 8;  // changes results

// Partial sums of a dot product of the orthogonal initializer.
inline constexpr std::size_t kOrthogonalSums = 8;  // changes results

// The dot product of a and b [n] over a number of partial sums, which vectorise.
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
