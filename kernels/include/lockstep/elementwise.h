#pragma once

#include <cstddef>

#include "lockstep/export.h"

namespace lockstep {

/// Bound of the errors over all floats, in units in the last place of the result (where that is
/// denormal: of the smallest denormal).
///@{
inline constexpr double kTanhMaxUlp = 1.5;
inline constexpr double kExpMaxUlp = 1.0;
inline constexpr double kSigmoidMaxUlp = 3.0;
///@}

/// tanh, exp and sigmoid rise: from one float to the next larger one a result never falls by more
/// than this number of units in the last place.
inline constexpr int kMonotoneUlp = 1;

/// y[i] = tanh(x[i]) for i < n.
///
/// Aliasing: y may be x (in place), otherwise they must not overlap. Any alignment.
///
/// Special values: tanh(+-0) = +-0, tanh(+-inf) = +-1, NaN gives NaN, denormals come back as they
/// are.
///
/// Accuracy: kTanhMaxUlp; odd, |y| <= 1.
///
/// Bits: a result depends on its argument only, never on position or length. The same on every
/// backend with fused multiply-add.
///
/// Threads: runs on the calling thread; thread-safe, no allocation.
///
/// Errors: InvalidArgument for a null array that is not empty.
LOCKSTEP_API void tanh(const float* x, float* y, std::size_t n);

/// y[i] = exp(x[i]) for i < n; conditions as for tanh.
///
/// Special values: exp(-inf) = +0, exp(+inf) = +inf, +inf where the result exceeds the largest
/// float, gradual underflow, NaN gives NaN.
///
/// Accuracy: kExpMaxUlp.
LOCKSTEP_API void exp(const float* x, float* y, std::size_t n);

/// y[i] = 1 / (1 + exp(-x[i])) for i < n; conditions as for tanh.
///
/// Special values: sigmoid(+-0) = 1/2, sigmoid(-inf) = +0, sigmoid(+inf) = 1, gradual underflow,
/// NaN gives NaN.
///
/// Accuracy: kSigmoidMaxUlp.
LOCKSTEP_API void sigmoid(const float* x, float* y, std::size_t n);

/// y[i] = 0 where x[i] is negative, otherwise x[i], for i < n; conditions as for tanh.
///
/// Special values: relu(-0) = -0, NaN gives NaN.
///
/// Accuracy: exact.
LOCKSTEP_API void relu(const float* x, float* y, std::size_t n);

}  // namespace lockstep
