#include "lockstep/portable_math.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>
#include <random>

#include "catch.h"
#include "fnv_hash.h"

namespace lockstep {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

double ulp_of(double exact) {
  const double magnitude = std::abs(exact);
  return std::nextafter(magnitude, kInfinity) - magnitude;
}

struct Known {
  double argument;
  double result;  // the double nearest to the exact result, computed with 200 bits
};

void check_known(double (*function)(double), std::initializer_list<Known> table) {
  for (const Known& known : table) {
    INFO("argument " << known.argument);
    CHECK(std::abs(function(known.argument) - known.result) <= ulp_of(known.result));
  }
}

// Largest error in ULP against the C library's long double, where that has more bits than a double;
// an error up to `floor` counts as none.
double worst_ulp(double (*function)(double), long double (*exact)(long double), double argument,
                 double floor, double worst) {
  const long double expected = exact(argument);
  const long double error = std::abs(function(argument) - expected);
  if (error <= floor) return worst;
  return std::max(worst, static_cast<double>(error / ulp_of(static_cast<double>(expected))));
}

constexpr bool kHasWideReference =
    std::numeric_limits<long double>::digits > std::numeric_limits<double>::digits;

TEST_CASE("portable_log matches exact values") {
  check_known(portable_log, {{0.5, -0x1.62e42fefa39efp-1},
                             {2.0, 0x1.62e42fefa39efp-1},
                             {3.0, 0x1.193ea7aad030bp+0},
                             {0.1, -0x1.26bb1bbb55515p+1},
                             {1e-300, -0x1.5963447f87fb5p+9},
                             {0x1p-1074, -0x1.74385446d71c3p+9},
                             {0x1.0000000000001p+0, 0x1.fffffffffffffp-53},
                             {0x1.fffffffffffffp-1, -0x1p-53},
                             {0x1.fffffffffffffp+1023, 0x1.62e42fefa39efp+9}});
  CHECK(portable_log(1.0) == 0.0);
}

TEST_CASE("portable_log of special values") {
  CHECK(portable_log(0.0) == -kInfinity);
  CHECK(portable_log(-0.0) == -kInfinity);
  CHECK(portable_log(kInfinity) == kInfinity);
  CHECK(std::isnan(portable_log(-1.0)));
  CHECK(std::isnan(portable_log(-kInfinity)));
  CHECK(std::isnan(portable_log(kNan)));
}

TEST_CASE("portable_sin and portable_cos match exact values") {
  check_known(portable_sin, {{0.5, 0x1.eaee8744b05f0p-2},
                             {1.0, 0x1.aed548f090ceep-1},
                             {3.0, 0x1.210386db6d55bp-3},
                             {-2.0, -0x1.d18f6ead1b446p-1},
                             {22.0, -0x1.220a29f6eb9f4p-7},
                             {355.0, -0x1.f9bd0307d1de3p-16},
                             {1e6, -0x1.6664b2568d867p-2},
                             {-12345.678, 0x1.687d5890974a5p-1}});
  check_known(portable_cos, {{0.5, 0x1.c1528065b7d50p-1},
                             {1.0, 0x1.14a280fb5068cp-1},
                             {3.0, -0x1.fae04be85e5d2p-1},
                             {-2.0, -0x1.aa22657537205p-2},
                             {11.0, 0x1.220ae41ee2fdfp-8},
                             {355.0, -0x1.fffffffc18e4cp-1},
                             {1e6, 0x1.df9df9906d32cp-1},
                             {-12345.678, 0x1.6b94c3bbe24b8p-1}});
  CHECK(portable_sin(0.0) == 0.0);
  CHECK(portable_cos(0.0) == 1.0);
  CHECK(portable_sin(1e-310) == 1e-310);
}

TEST_CASE("portable_sin and portable_cos refuse what they cannot reduce") {
  for (const double x : {1.5e6, -1.5e6, kInfinity, -kInfinity, kNan}) {
    CHECK(std::isnan(portable_sin(x)));
    CHECK(std::isnan(portable_cos(x)));
  }
}

TEST_CASE("portable functions keep the documented accuracy", "[optional]") {
  if (!kHasWideReference) LOCKSTEP_SKIP("no long double wider than double here");
  std::mt19937_64 engine(1);
  double log_worst = 0;
  double sin_worst = 0;
  double cos_worst = 0;
  for (int i = 0; i < 200000; ++i) {
    const double uniform = static_cast<double>(engine() >> 11) * 0x1p-53;
    const double wide = std::ldexp(0.5 + uniform, i % 2000 - 1000);
    for (const double x : {0.5 + uniform, wide}) {
      log_worst = worst_ulp(portable_log, std::log, x, 0.0, log_worst);
    }
    const double zero_of_cos = (std::floor(uniform * 1000) + 0.5) * std::numbers::pi;
    for (const double x : {7 * uniform, 2e6 * (uniform - 0.5), zero_of_cos}) {
      sin_worst = worst_ulp(portable_sin, std::sin, x, 0x1p-93, sin_worst);
      cos_worst = worst_ulp(portable_cos, std::cos, x, 0x1p-93, cos_worst);
    }
  }
  CHECK(log_worst <= kPortableMathUlp);
  CHECK(sin_worst <= kPortableMathUlp);
  CHECK(cos_worst <= kPortableMathUlp);
}

TEST_CASE("portable functions give the same bits everywhere") {
  std::mt19937_64 engine(2);
  FnvHash hash;
  for (int i = 0; i < 100000; ++i) {
    const double uniform = static_cast<double>(engine() >> 11) * 0x1p-53;
    hash.add(portable_log(uniform));
    hash.add(portable_sin(100 * uniform));
    hash.add(portable_cos(1e5 * uniform));
  }
  CHECK(hash.value() == 0xeb8ef05294f87ece);
}

}  // namespace
}  // namespace lockstep
