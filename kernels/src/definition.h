// What makes bits. Everything here is part of the definition of a result, and no number of
// tuning.h is; odd_tuning_test compares builds that differ in tuning.h alone.
//
// Defined elsewhere: the polynomials of tanh and exp (simd/constants.h, simd/math-inl.h), and the
// logarithm in double (lockstep/portable_math.h).
#pragma once

#include <cstddef>

namespace lockstep {

// Products. Changing this changes results:
//
//   acc = beta * start                    (0 without start)
//   acc = fma(a[p], b[p], acc)            for p = 0 .. k-1 in this order
//   c   = epilogue(acc)
//
// is the chain of every element. It may be interrupted after any p, its sum kept in C and continued
// (beta = 1, which is exact); it may be neither split nor reordered. The reference backend sums in
// double and rounds at each interruption, so it alone stays outside.

// Softmax. Changing this changes results: the sum of a row goes over this number of partial sums,
// element j to partial sum j % kVirtualLanes in ascending j, which are then added pairwise (l + 8,
// l + 4, l + 2, l + 1).
inline constexpr std::size_t kVirtualLanes = 16;

// Softmax. Changing this changes results: a longer row is cut into blocks of this number of
// columns, and sum = sum * exp(maximum before - maximum) + sum of the next block.
inline constexpr std::size_t kSoftmaxBlock = 131072;

}  // namespace lockstep
