#include "lockstep/elementwise.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <iostream>
#include <mutex>
#include <sstream>

#include "backend_scope.h"
#include "catch.h"
#include "guarded_matrix.h"
#include "lockstep/threads.h"

namespace lockstep {
namespace {

struct Function {
  const char* name;
  void (*kernel)(const float*, float*, std::size_t);
  double (*exact)(double);
  double max_ulp;
  [[nodiscard]] std::vector<float> operator()(const std::vector<float>& x) const {
    std::vector<float> y(x.size());
    kernel(x.data(), y.data(), x.size());
    return y;
  }
};

const std::vector<Function> kFunctions{
    {"tanh", &tanh, [](double x) { return std::tanh(x); }, kTanhMaxUlp},
    {"exp", &exp, [](double x) { return std::exp(x); }, kExpMaxUlp},
    {"sigmoid", &sigmoid, [](double x) { return 1 / (1 + std::exp(-x)); }, kSigmoidMaxUlp},
    {"relu", &relu, [](double x) { return x < 0 ? 0 : x; }, 0}};

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
  for (const Function& f : kFunctions) {
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
    CHECK(same_bits(kFunctions[0](fixed), fixed));
    CHECK(kFunctions[0]({kInfinity, -kInfinity, largest, -largest}) ==
          std::vector<float>{1, -1, 1, -1});
    CHECK(same_bits(kFunctions[1]({0.0f, -0.0f, denormal, -kInfinity, kInfinity, 88.73f, -104.0f}),
                    std::vector<float>{1, 1, 1, 0, kInfinity, kInfinity, 0}));
    CHECK(same_bits(kFunctions[1]({-103.0f}), std::vector<float>{denormal}));
    CHECK(same_bits(kFunctions[2]({0.0f, -0.0f, -kInfinity, kInfinity, 20.0f, -104.0f, -103.0f}),
                    std::vector<float>{0.5f, 0.5f, 0, 1, 1, 0, denormal}));
    CHECK(same_bits(kFunctions[3]({2.5f, -2.5f, denormal, -denormal, -0.0f, kInfinity, -kInfinity}),
                    std::vector<float>{2.5f, 0, denormal, 0, -0.0f, kInfinity, 0}));
    for (const Function& f : kFunctions) CHECK(all_nan(f({kNaN, -kNaN})));
  }
}

TEST_CASE("tanh is odd and never beyond one") {
  std::vector<float> opposite = arguments();
  for (float& x : opposite) x = -x;
  for (const std::string& name : runnable_backends()) {
    CAPTURE(name);
    const BackendScope scope(name);
    const std::vector<float> y = kFunctions[0](arguments());
    std::vector<float> z = kFunctions[0](opposite);
    for (float& value : z) value = -value;
    for (std::size_t i = 0; i < y.size(); ++i) {
      if (std::isnan(y[i])) continue;
      if (!same_bits(y[i], z[i]) || std::abs(y[i]) > 1)
        FAIL_CHECK("tanh(" << arguments()[i] << ")");
    }
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
        CAPTURE(name, kFunctions[f].name, boundary);
        std::vector<float> x;
        for (std::int32_t step = -3000; step < 3000; ++step) x.push_back(step_from(boundary, step));
        CHECK(largest_fall(kFunctions[f](x)) <= kMonotoneUlp);
        for (float& value : x) value = -value;
        std::vector<float> y = kFunctions[f](x);
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
  for (const Function& f : kFunctions) {
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

TEST_CASE("elementwise functions give the same bits on every fused backend") {
  for (const Function& f : kFunctions) {
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

// Worst errors of one function over all floats, by backend.
class ExhaustiveSearch {
 public:
  explicit ExhaustiveSearch(const Function& f) : f_(f) {
    for (const BackendInfo& b : backends()) {
      if (b.runnable && b.name != "reference") worst_.push_back({b, 0.0, 0.0f});
    }
  }

  struct Worst {
    BackendInfo backend;
    double error;
    float at;
  };

  // One backend at a time is active in a process, so the chunk is large and the exact values, which
  // cost most, are computed by all threads and once for all backends.
  const std::vector<Worst>& run() {
    constexpr std::uint64_t kChunk = 1u << 24;
    x_.resize(kChunk);
    y_.resize(kChunk);
    exact_.resize(kChunk);
    for (std::uint64_t first = 0; first < 1ull << 32; first += kChunk) {
      take_chunk(first);
      if ((first / kChunk + 1) % 64 == 0) {
        std::cerr << f_.name << ": " << (first >> 30) + 1 << " of 4 quarters done\n";
      }
    }
    return worst_;
  }

 private:
  void take_chunk(std::uint64_t first) {
    parallel(resolve_threads(0), [&](const Team& team) {
      const Range mine = share(x_.size(), team.index(), team.size());
      for (std::size_t i = mine.begin; i < mine.end; ++i) {
        x_[i] = std::bit_cast<float>(static_cast<std::uint32_t>(first + i));
        exact_[i] = f_.exact(static_cast<double>(x_[i]));
      }
    });
    for (Worst& worst : worst_) {
      const BackendScope scope(worst.backend.name);
      parallel(resolve_threads(0), [&](const Team& team) { compare_share(team, worst); });
    }
  }

  void compare_share(const Team& team, Worst& worst) {
    const Range mine = share(x_.size(), team.index(), team.size());
    f_.kernel(x_.data() + mine.begin, y_.data() + mine.begin, mine.end - mine.begin);
    double error = 0;
    std::size_t at = mine.begin;
    for (std::size_t i = mine.begin; i < mine.end; ++i) {
      const double found = ulp_error(y_[i], exact_[i]);
      if (found > error) at = i;
      error = std::max(error, found);
    }
    const std::scoped_lock lock(mutex_);
    if (error > worst.error) worst = {worst.backend, error, x_[at]};
  }

  Function f_;
  std::vector<Worst> worst_;
  std::mutex mutex_;
  std::vector<float> x_;
  std::vector<float> y_;
  std::vector<double> exact_;
};

TEST_CASE("elementwise functions of all floats are within the documented error",
          "[.][exhaustive]") {
  for (const Function& f : kFunctions) {
    ExhaustiveSearch search(f);
    for (const auto& [backend, error, at] : search.run()) {
      std::ostringstream line;
      line << f.name << " on " << backend.name << ": " << error << " ULP at " << std::hexfloat
           << at;
      WARN(line.str());
      CHECK(error <= f.max_ulp);
    }
  }
}

}  // namespace
}  // namespace lockstep
