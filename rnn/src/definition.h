// What makes the bits of a training. Changing a line here changes results.
#pragma once

#include <array>
#include <cstddef>
#include <numeric>

namespace lockstep {

// Raised with every change here, or elsewhere, that changes the bits of a training.
inline constexpr int kBitsVersion = 1;

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

// term(0) + ... + term(n - 1) over a number of partial sums, which vectorise.
template <std::size_t kSums, class Term>
double sum_of_terms(std::size_t n, const Term& term) {
  std::array<double, kSums> sums{};
  std::size_t i = 0;
  for (; i + kSums <= n; i += kSums) {
    for (std::size_t lane = 0; lane < kSums; ++lane) sums[lane] += term(i + lane);
  }
  for (std::size_t lane = 0; i < n; ++i, ++lane) sums[lane] += term(i);
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

// Converts once; dot(x, x) would convert twice.
template <std::size_t kSums, class T>
double sum_of_squares(const T* x, std::size_t n) {
  return sum_of_terms<kSums>(n, [x](std::size_t i) {
    const auto value = static_cast<double>(x[i]);
    return value * value;
  });
}

template <std::size_t kSums>
double dot(const double* a, const double* b, std::size_t n) {
  return sum_of_terms<kSums>(n, [a, b](std::size_t i) { return a[i] * b[i]; });
}

}  // namespace lockstep
