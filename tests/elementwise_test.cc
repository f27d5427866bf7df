#include "lockstep/elementwise.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "backend_scope.h"
#include "catch.h"
#include "elementwise_functions.h"
#include "guarded_matrix.h"

namespace lockstep {
namespace {

// Where tanh and sigmoid switch or saturate, and where exp overflows, underflows or takes another
// power of 2^(1/8).
const std::vector<float> kBoundaries{
    0.32f,       0.64f,       1.28f,       1.92f,       3.2f,        4.48f,       7.04f,
    9.0109133f,  9.125f,      16.635532f,  17.3286795f, 87.336544f,  88.679518f,  88.722839f,
    89.0f,       103.27893f,  103.97208f,  104.0f,      0.04332170f, 0.12996510f, 0.21660849f,
    0.30325189f, 0.38989529f, 0.47653868f, 0.56318208f, 0.64982548f};

float step_from(float x, std::int32_t steps) {
  return std::bit_cast<float>(std::bit_cast<std::int32_t>(x) + steps);
}

void add_boundaries(std::vector<float>& x) {
  for (const float boundary : kBoundaries) {
    for (std::int32_t step = -32; step < 32; ++step) {
      const float near = step_from(boundary, step);
      x.insert(x.end(), {near, -near});
    }
  }
}

// Every sign and exponent (zeros, denormals, infinities and NaN among them) with some mantissas.
void add_every_exponent(std::vector<float>& x) {
  for (std::uint32_t high = 0; high < 512; ++high) {
    for (const std::uint32_t mantissa : {0x0u, 0x1u, 0x2u, 0x155555u, 0x400000u, 0x7FFFFFu}) {
      x.push_back(std::bit_cast<float>(high << 23 | mantissa));
    }
  }
}

const std::vector<float>& arguments() {
  static const std::vector<float> all = [] {
    std::vector<float> x;
    add_boundaries(x);
    add_every_exponent(x);
    Random random(1);
    for (int i = 0; i < 50000; ++i) {
      x.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(random.index(1ull << 32))));
      x.push_back(static_cast<float>(random.uniform(-1, 1)));
      x.push_back(static_cast<float>(random.uniform(-10, 10)));
      x.push_back(static_cast<float>(random.uniform(-105, 90)));
    }
    return x;
  }();
  return all;
}

TEST_CASE("elementwise functions are within the documented error") {
  for (const ElementwiseFunction& f : kElementwiseFunctions) {
    for (const BackendInfo& backend : backends()) {
      if (!backend.runnable) continue;
      const BackendScope scope(backend.name);
      const std::vector<float> y = f(arguments());
      double worst = 0;
      float worst_at = 0;
      for (std::size_t i = 0; i < y.size(); ++i) {
        const double error = ulp_error(y[i], f.exact(static_cast<double>(arguments()[i])));
        if (error > worst) worst_at = arguments()[i];
        worst = std::max(worst, error);
      }
      CAPTURE(f.name, backend.name, worst_at);
      CHECK(worst <= f.max_ulp);
    }
  }
}

TEST_CASE("elementwise functions of special values") {
  const float denormal = std::numeric_limits<float>::denorm_min();
  const float largest = std::numeric_limits<float>::max();
  for (const std::string& name : runnable_backends()) {
    CAPTURE(name);
    const BackendScope scope(name);
    const std::vector<float> fixed{0.0f, -0.0f, denormal, -denormal, 0x1.fffffcp-127f};
    CHECK(same_bits(kElementwiseFunctions[0](fixed), fixed));
    CHECK(kElementwiseFunctions[0]({kInfinity, -kInfinity, largest, -largest}) ==
          std::vector<float>{1, -1, 1, -1});
    CHECK(same_bits(
        kElementwiseFunctions[1]({0.0f, -0.0f, denormal, -kInfinity, kInfinity, 88.73f, -104.0f}),
        std::vector<float>{1, 1, 1, 0, kInfinity, kInfinity, 0}));
    CHECK(same_bits(kElementwiseFunctions[1]({-103.0f}), std::vector<float>{denormal}));
    CHECK(same_bits(
        kElementwiseFunctions[2]({0.0f, -0.0f, -kInfinity, kInfinity, 20.0f, -104.0f, -103.0f}),
        std::vector<float>{0.5f, 0.5f, 0, 1, 1, 0, denormal}));
    CHECK(same_bits(
        kElementwiseFunctions[3]({2.5f, -2.5f, denormal, -denormal, -0.0f, kInfinity, -kInfinity}),
        std::vector<float>{2.5f, 0, denormal, 0, -0.0f, kInfinity, 0}));
    for (const ElementwiseFunction& f : kElementwiseFunctions) CHECK(all_nan(f({kNaN, -kNaN})));
  }
}

TEST_CASE("tanh is odd and never beyond one") {
  std::vector<float> opposite = arguments();
  for (float& x : opposite) x = -x;
  for (const std::string& name : runnable_backends()) {
    CAPTURE(name);
    const BackendScope scope(name);
    const std::vector<float> y = kElementwiseFunctions[0](arguments());
    std::vector<float> z = kElementwiseFunctions[0](opposite);
    for (float& value : z) value = -value;
    std::vector<float> wrong;
    for (std::size_t i = 0; i < y.size(); ++i) {
      if (std::isnan(y[i])) continue;
      if (!same_bits(y[i], z[i]) || std::abs(y[i]) > 1) wrong.push_back(arguments()[i]);
    }
    CHECK(wrong == std::vector<float>());
  }
}

// The floats of one sign in ascending size: how often and by how many units in the last place does
// a rising function fall?
std::int32_t largest_fall(const std::vector<float>& y) {
  std::int32_t fall = 0;
  for (std::size_t i = 1; i < y.size(); ++i) {
    const auto before = std::bit_cast<std::int32_t>(y[i - 1]);
    fall = std::max(fall, before - std::bit_cast<std::int32_t>(y[i]));
  }
  return fall;
}

TEST_CASE("tanh, exp and sigmoid fall by no more than the documented step across boundaries") {
  for (const std::string& name : runnable_backends()) {
    const BackendScope scope(name);
    for (std::size_t f = 0; f < 3; ++f) {
      for (const float boundary : kBoundaries) {
        CAPTURE(name, kElementwiseFunctions[f].name, boundary);
        std::vector<float> x;
        for (std::int32_t step = -3000; step < 3000; ++step) x.push_back(step_from(boundary, step));
        CHECK(largest_fall(kElementwiseFunctions[f](x)) <= kMonotoneUlp);
        for (float& value : x) value = -value;
        std::vector<float> y = kElementwiseFunctions[f](x);
        if (f == 0) {
          for (float& value : y) value = -value;
        } else {
          std::ranges::reverse(y);
        }
        CHECK(largest_fall(y) <= kMonotoneUlp);
      }
    }
  }
}

TEST_CASE("elementwise functions do not depend on position, length, alignment or being in place") {
  constexpr std::size_t kLongest = 70;
  const std::vector<float> x(arguments().end() - kLongest, arguments().end());
  for (const ElementwiseFunction& f : kElementwiseFunctions) {
    for (const std::string& name : runnable_backends()) {
      const BackendScope scope(name);
      std::vector<float> alone;
      for (const float value : x) alone.push_back(f({value})[0]);
      for (std::size_t n = 0; n <= kLongest; ++n) {
        const std::span<const float> expected(alone.data(), n);
        for (std::size_t offset = 0; offset < 5; ++offset) {
          CAPTURE(f.name, name, n, offset);
          GuardedMatrix from(1, n, 0, offset);
          from.fill(x);
          GuardedMatrix to(1, n, 0, 4 - offset);
          f.kernel(from.data(), to.data(), n);
          f.kernel(from.data(), from.data(), n);
          CHECK(same_bits(to.values(), expected));
          CHECK(same_bits(from.values(), expected));
          CHECK((to.guards_intact() && from.guards_intact()));
        }
      }
    }
  }
}

TEST_CASE("elementwise functions give the same bits on every fused backend", "[optional]") {
  LOCKSTEP_SKIP_WITHOUT_TWO_FUSED();
  for (const ElementwiseFunction& f : kElementwiseFunctions) {
    std::vector<float> first;
    for (const std::string& name : fused_backends()) {
      CAPTURE(f.name, name);
      const BackendScope scope(name);
      const std::vector<float> y = f(arguments());
      if (first.empty()) first = y;
      const auto same = [](float a, float b) {
        return same_bits(a, b) || (std::isnan(a) && std::isnan(b));
      };
      CHECK(std::ranges::equal(y, first, same));
    }
  }
}

TEST_CASE("elementwise functions name a null array, unless it is empty") {
  float x = 1;
  for (const ElementwiseFunction& f : kElementwiseFunctions) {
    const std::string message = std::string(f.name) + ": x or y is null";
    CHECK_THROWS_WITH(f.kernel(nullptr, &x, 1), message);
    CHECK_THROWS_WITH(f.kernel(&x, nullptr, 1), message);
    CHECK_NOTHROW(f.kernel(nullptr, nullptr, 0));
  }
}

}  // namespace
}  // namespace lockstep
