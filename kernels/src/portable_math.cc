#include "lockstep/portable_math.h"

#include <bit>
#include <cfloat>
#include <cstdint>
#include <limits>

// The range reductions and the compensated sums follow fdlibm (Sun Microsystems 1993: e_log.c,
// e_rem_pio2.c, k_sin.c, k_cos.c); the polynomials are plain Taylor series, long enough for a
// double.

namespace lockstep {
namespace {

using Limits = std::numeric_limits<double>;

static_assert(Limits::is_iec559 && FLT_EVAL_METHOD == 0,
              "portable_math needs IEEE 754 doubles without excess precision");

// A positive normal number as 2^exponent * mantissa, mantissa in [sqrt(1/2), sqrt(2)).
struct Scaled {
  double exponent;
  double mantissa;
};

Scaled split(double x) {
  constexpr int kMantissaBits = 52;
  constexpr auto kSqrtHalf = std::bit_cast<std::int64_t>(0x1.6a09e667f3bcdp-1);
  const auto bits = std::bit_cast<std::int64_t>(x);
  const std::int64_t exponent = (bits - kSqrtHalf) >> kMantissaBits;
  return {static_cast<double>(exponent), std::bit_cast<double>(bits - (exponent << kMantissaBits))};
}

// exponent * log(2) + log(mantissa). With mantissa = 1 + f and s = f / (2 + f) the second term is
// 2 atanh(s) = f - f^2/2 + s (f^2/2 + 2/3 s^2 + 2/5 s^4 + ...), whose leading terms are exact or
// nearly so: adding the small ones first leaves little more than the error of the last addition.
double log_of(const Scaled& x) {
  // log(2) in two parts; the first has so few bits that its product with an exponent is exact.
  constexpr double kLn2High = 0x1.62e42feep-1;
  constexpr double kLn2Low = 0x1.a39ef35793c76p-33;

  const double f = x.mantissa - 1.0;
  const double s = f / (2.0 + f);
  const double s2 = s * s;
  double series = 0.0;  // 2/3 s^2 + ... + 2/23 s^22
  for (int n = 23; n >= 3; n -= 2) series = s2 * (2.0 / n + series);
  const double half_square = 0.5 * f * f;
  const double small = s * (half_square + series) + x.exponent * kLn2Low;
  return x.exponent * kLn2High - ((half_square - small) - f);
}

// An angle minus quadrant * pi/2, in [-pi/4, pi/4], as the sum of two doubles.
struct ReducedAngle {
  unsigned quadrant;
  double high;
  double low;
};

ReducedAngle reduce(double x) {
  // pi/2 in three parts; the first two have 33 bits, so that their products with a quadrant number
  // below 2^20 are exact.
  constexpr double kHalfPi1 = 0x1.921fb544p+0;
  constexpr double kHalfPi2 = 0x1.0b4611a6p-34;
  constexpr double kHalfPi3 = 0x1.3198a2e037073p-69;
  constexpr double kTwoOverPi = 0x1.45f306dc9c883p-1;

  const auto quadrant = static_cast<int>(x * kTwoOverPi + (x < 0 ? -0.5 : 0.5));
  const double a = x - quadrant * kHalfPi1;
  const double b = quadrant * kHalfPi2;
  const double difference = a - b;
  const double b_used = a - difference;
  const double rounding = (a - (difference + b_used)) - (b - b_used);  // Knuth's exact sum
  const double rest = rounding - quadrant * kHalfPi3;
  const double high = difference + rest;
  return {static_cast<unsigned>(quadrant), high, rest - (high - difference)};
}

// sin(high + low) = sin(high) + low cos(high), for |high| <= pi/4.
double sin_kernel(double high, double low) {
  const double z = high * high;
  double series = 0.0;  // -z/3! + z^2/5! - ... + z^8/17!
  for (int n = 17; n >= 3; n -= 2) series = -z / (n * (n - 1)) * (1.0 + series);
  return high + (high * series + low * (1.0 - 0.5 * z));
}

// cos(high + low) = cos(high) - low sin(high), for |high| <= pi/4.
double cos_kernel(double high, double low) {
  const double z = high * high;
  double series = 0.0;  // 2 (-z/4! + z^2/6! - ... - z^7/16!), so that cos = 1 - z/2 (1 + series)
  for (int n = 16; n >= 4; n -= 2) series = -z / (n * (n - 1)) * (1.0 + series);
  const double half = 0.5 * z;
  const double head = 1.0 - half;
  return head + (((1.0 - head) - half) - (half * series + high * low));
}

// sin(x + quarter_turns * pi/2)
double sin_of_sum(double x, unsigned quarter_turns) {
  const bool in_range = x >= -kPortableAngleLimit && x <= kPortableAngleLimit;
  if (!in_range) return Limits::quiet_NaN();
  const ReducedAngle angle = reduce(x);
  const unsigned quadrant = angle.quadrant + quarter_turns;
  const double magnitude =
      quadrant % 2 == 0 ? sin_kernel(angle.high, angle.low) : cos_kernel(angle.high, angle.low);
  return quadrant % 4 < 2 ? magnitude : -magnitude;
}

}  // namespace

double portable_log(double x) noexcept {
  if (x == 0.0) return -Limits::infinity();
  if (x == Limits::infinity()) return x;
  if (!(x > 0.0)) return Limits::quiet_NaN();
  if (x >= Limits::min()) return log_of(split(x));
  Scaled scaled = split(x * 0x1p54);  // a subnormal number has no exponent of its own
  scaled.exponent -= 54.0;
  return log_of(scaled);
}

double portable_sin(double x) noexcept { return sin_of_sum(x, 0); }

double portable_cos(double x) noexcept { return sin_of_sum(x, 1); }

}  // namespace lockstep
