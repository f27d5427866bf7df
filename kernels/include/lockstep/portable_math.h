#pragma once

#include "lockstep/export.h"

namespace lockstep {

// Elementary functions with the same bits on every IEEE 754 machine, compiler and C library.
//
// They use addition, subtraction, multiplication and division of doubles only, all of which the
// standard rounds exactly; those of <cmath> differ in the last bit from one C library to the next.
// Use them wherever a result feeds data, weights or losses: they are exact to the bit, not fast.
// All are thread-safe and expect the rounding mode "to nearest".

/// Upper bound of the error, in units in the last place of the exact result.
inline constexpr double kPortableMathUlp = 1.0;

/// Largest absolute value of an argument of portable_sin and portable_cos.
inline constexpr double kPortableAngleLimit = 1e6;

/// Natural logarithm.
///
/// Special values: 0 gives -inf and +inf gives +inf; negative numbers and NaN give NaN.
[[nodiscard]] LOCKSTEP_API double portable_log(double x) noexcept;

/// Sine and cosine of an angle in radians.
///
/// Special values: beyond +-kPortableAngleLimit, and for NaN, they give NaN. sin(-0) is +0.
///
/// Accuracy: next to their zeros the bound is 2^-93 where that is more than kPortableMathUlp.
///@{
[[nodiscard]] LOCKSTEP_API double portable_sin(double x) noexcept;
[[nodiscard]] LOCKSTEP_API double portable_cos(double x) noexcept;
///@}

}  // namespace lockstep
