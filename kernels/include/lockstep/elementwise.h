#pragma once

#include <cstddef>

#include "lockstep/export.h"

namespace lockstep {

/// Bound of the errors over all floats, in units in the last place of the result (where that is
/// denormal: of the smallest denormal). Found over all 2^32 arguments on Highway's AVX3_DL, AVX3,
/// AVX2, SSE4 and SSSE3 and on xsimd's AVX-512, AVX2 and SSE4 backends:
/// tanh 1.433, exp 0.897 (0.910 without fused multiply-add), sigmoid 2.691. kernels/README.md has
/// the table with the arguments.
///@{
inline constexpr double kTanhMaxUlp = 1.5;
inline constexpr double kExpMaxUlp = 1.0;
inline constexpr double kSigmoidMaxUlp = 3.0;
///@}

/// tanh, exp and sigmoid rise: from one float to the next larger one a result never falls by more
/// than this many units in the last place. (Of all 2^32 arguments tanh falls at 260, without
/// fused multiply-add at 276, exp at one or none, and sigmoid, whose quotient is rounded three
/// times, at 207 thousand.)
inline constexpr int kMonotoneUlp = 1;

/// y[i] = tanh(x[i]) for i < n.
///
/// y may be x (in place), else they must not overlap. Any alignment. A result depends on its
/// argument only, never on position or length. tanh(+-0) = +-0, tanh(+-inf) = +-1, NaN gives NaN,
/// odd, |y| <= 1, denormals come back as they are. Same bits on every backend with fused
/// multiply-add. Thread-safe, no allocation. Throws std::invalid_argument for a null array that is
/// not empty.
LOCKSTEP_API void tanh(const float* x, float* y, std::size_t n);

/// y[i] = exp(x[i]) for i < n; conditions as for tanh. exp(-inf) = +0, exp(+inf) = +inf, +inf where
/// the result exceeds the largest float, gradual underflow, NaN gives NaN.
LOCKSTEP_API void exp(const float* x, float* y, std::size_t n);

/// y[i] = 1 / (1 + exp(-x[i])) for i < n; conditions as for tanh. sigmoid(+-0) = 1/2,
/// sigmoid(-inf) = +0, sigmoid(+inf) = 1, gradual underflow, NaN gives NaN.
LOCKSTEP_API void sigmoid(const float* x, float* y, std::size_t n);

/// y[i] = 0 where x[i] is negative, else x[i], for i < n; conditions as for tanh. Exact; relu(-0) =
/// -0, NaN gives NaN.
LOCKSTEP_API void relu(const float* x, float* y, std::size_t n);

}  // namespace lockstep
