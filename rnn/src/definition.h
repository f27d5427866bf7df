// What makes the bits of a training. Changing a line here changes results.
#pragma once

#include <cstddef>

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

}  // namespace lockstep
