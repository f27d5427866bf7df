#pragma once

#include <cstddef>

namespace lockstep {

/// Largest error of tanh and exp over all floats, in units in the last place of the result (where
/// exp is denormal: of the smallest denormal). Found over all 2^32 arguments: tanh 1.64 with fused
/// multiply-add and 1.99 without (SSE), exp 0.991 and 0.964.
inline constexpr double kTanhMaxUlp = 2.0;
inline constexpr double kExpMaxUlp = 1.0;

/// y[i] = tanh(x[i]) for i < n.
///
/// y may be x (in place), else they must not overlap. Any alignment. A result depends on its
/// argument only, never on position or length. tanh(+-0) = +-0, tanh(+-inf) = +-1, NaN gives NaN,
/// odd, |y| <= 1, denormals come back as they are. Thread-safe, no allocation.
void tanh(const float* x, float* y, std::size_t n);

/// y[i] = exp(x[i]) for i < n; conditions as for tanh. exp(-inf) = +0, exp(+inf) = +inf, +inf where
/// the result exceeds the largest float, gradual underflow, NaN gives NaN.
void exp(const float* x, float* y, std::size_t n);

}  // namespace lockstep
