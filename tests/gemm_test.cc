#include "lockstep/gemm.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

#include "backend_scope.h"
#include "catch.h"
#include "guarded_matrix.h"

namespace lockstep {
namespace {

struct Problem {
  std::size_t m, n, k;
  Transpose transpose_a = Transpose::no;
  Transpose transpose_b = Transpose::no;
  float alpha = 1;
  float beta = 0;
  std::size_t slack = 0;   // floats between the rows of each matrix
  std::size_t offset = 0;  // floats by which each matrix misses its alignment
  int threads = 1;
};

GuardedMatrix operand(const Problem& p, Transpose transpose, std::size_t rows, std::size_t cols,
                      std::uint64_t seed) {
  if (transpose == Transpose::yes) std::swap(rows, cols);
  return normal_matrix(rows, cols, seed, p.slack, p.offset);
}

struct Operands {
  explicit Operands(const Problem& p)
      : a(operand(p, p.transpose_a, p.m, p.k, 1)),
        b(operand(p, p.transpose_b, p.k, p.n, 2)),
        c(normal_matrix(p.m, p.n, 3, p.slack, p.offset)) {}

  GuardedMatrix a, b, c;
};

GuardedMatrix product(const Problem& p, const Operands& in) {
  GuardedMatrix c = in.c;
  gemm(p.transpose_a, p.transpose_b, p.m, p.n, p.k, p.alpha, in.a.data(), in.a.stride(),
       in.b.data(), in.b.stride(), p.beta, c.data(), c.stride(), p.threads);
  return c;
}

// What every element is to be, and the sum of the sizes of its terms.
struct Expected {
  Expected(const Problem& p, const Operands& in) : value(p.m * p.n), size(p.m * p.n) {
    for (std::size_t i = 0; i < p.m * p.n; ++i) sum_terms(p, in, i / p.n, i % p.n, i);
  }

  // Largest error of an element, in units of 2^-24 times the sizes of its terms.
  [[nodiscard]] double worst_error(const GuardedMatrix& c) const {
    double worst = 0;
    for (std::size_t i = 0; i < value.size(); ++i) {
      const double error =
          std::abs(static_cast<double>(c.at(i / c.cols(), i % c.cols())) - value[i]);
      const double units = error == 0 ? 0 : error / (size[i] * 0x1p-24);
      if (!(units <= worst)) worst = units;  // takes NaN too
    }
    return worst;
  }

  std::vector<double> value;
  std::vector<double> size;

 private:
  void sum_terms(const Problem& p, const Operands& in, std::size_t row, std::size_t col,
                 std::size_t i) {
    value[i] = static_cast<double>(p.beta) * static_cast<double>(in.c.at(row, col));
    size[i] = std::abs(value[i]);
    for (std::size_t q = 0; q < p.k; ++q) {
      const float a = p.transpose_a == Transpose::no ? in.a.at(row, q) : in.a.at(q, row);
      const float b = p.transpose_b == Transpose::no ? in.b.at(q, col) : in.b.at(col, q);
      const double term =
          static_cast<double>(p.alpha) * static_cast<double>(a) * static_cast<double>(b);
      value[i] += term;
      size[i] += std::abs(term);
    }
  }
};

// The header's bound, in units of 2^-24.
double error_bound(const Problem& p, bool fused) {
  return static_cast<double>((fused ? 1 : 2) * p.k + 3);
}

void check_on_every_backend(const Problem& p) {
  const Operands in(p);
  const Expected expected(p, in);
  for (const BackendInfo& backend : backends()) {
    if (!backend.runnable) continue;
    const BackendScope scope(backend.name);
    const GuardedMatrix c = product(p, in);
    const double error = expected.worst_error(c);
    if (error <= error_bound(p, backend.fused) && c.guards_intact()) continue;
    CAPTURE(backend.name, p.m, p.n, p.k, p.alpha, p.beta, p.slack, p.offset);
    CAPTURE(static_cast<int>(p.transpose_a), static_cast<int>(p.transpose_b));
    CHECK(error <= error_bound(p, backend.fused));
    CHECK(c.guards_intact());
  }
}

constexpr std::array<Transpose, 2> kTransposes{Transpose::no, Transpose::yes};

// Draws everything but the size.
Problem varied(std::size_t m, std::size_t n, std::size_t k, Random& random) {
  constexpr std::array<float, 4> kFactors{0, 1, -1, 0.37f};
  Problem p{m, n, k};
  p.transpose_a = kTransposes[random.index(2)];
  p.transpose_b = kTransposes[random.index(2)];
  p.alpha = kFactors[random.index(4)];
  p.beta = kFactors[random.index(4)];
  p.slack = random.index(4);
  p.offset = random.index(4);
  return p;
}

TEST_CASE("gemm is within its error bound for every small shape") {
  Random random(1);
  for (std::size_t m = 0; m <= 26; ++m) {
    for (std::size_t n = 0; n <= 70; ++n) {
      for (const std::size_t k : {0u, 1u, 2u, 5u, 17u})
        check_on_every_backend(varied(m, n, k, random));
    }
  }
}

TEST_CASE("gemm is within its error bound for every pair of factors and transposes") {
  for (const Transpose transpose_a : kTransposes) {
    for (const Transpose transpose_b : kTransposes) {
      for (const float alpha : {0.0f, 1.0f, -1.0f, 0.37f}) {
        for (const float beta : {0.0f, 1.0f, -1.0f, 2.5f}) {
          check_on_every_backend({13, 37, 29, transpose_a, transpose_b, alpha, beta, 3, 1});
        }
      }
    }
  }
}

// Every way through the plan: B in place, copied by the way or packed beforehand; more k than a
// block (512), more rows than a block (192), more panels than are packed together (16 of 64
// columns); one row along the rows of B, of more columns than are done at once (4096).
constexpr std::array<std::array<std::size_t, 3>, 11> kPlannedShapes{{{67, 129, 300},
                                                                     {101, 103, 107},
                                                                     {31, 131, 557},
                                                                     {5, 64, 2111},
                                                                     {9, 77, 1030},
                                                                     {29, 35, 4099},
                                                                     {197, 300, 600},
                                                                     {205, 1100, 70},
                                                                     {1, 131, 300},
                                                                     {1, 4213, 37},
                                                                     {1, 37, 1030}}};

TEST_CASE("gemm is within its error bound for every plan") {
  for (const Transpose transpose_a : kTransposes) {
    for (const Transpose transpose_b : kTransposes) {
      for (const auto& [m, n, k] : kPlannedShapes) {
        check_on_every_backend({m, n, k, transpose_a, transpose_b, 1, 1, 1, 2});
        check_on_every_backend({m, n, k, transpose_a, transpose_b, 1, 0});
        check_on_every_backend({m, n, k, transpose_a, transpose_b, -0.7f, 0.3f});
      }
    }
  }
}

TEST_CASE("gemm gives the same bits on every fused backend for every plan") {
  for (const auto& [m, n, k] : kPlannedShapes) {
    // The transposed B is packed beforehand; the same numbers take another way with the plain one.
    Problem plain{m, n, k, Transpose::no, Transpose::no, 1, 0.5f};
    Operands in(plain);
    Problem packed = plain;
    packed.transpose_b = Transpose::yes;
    Operands transposed(packed);
    transposed.a = in.a;
    for (std::size_t p = 0; p < k; ++p) {
      for (std::size_t j = 0; j < n; ++j) transposed.b.at(j, p) = in.b.at(p, j);
    }
    std::vector<float> first;
    for (const std::string& name : fused_backends()) {
      CAPTURE(name, m, n, k);
      const BackendScope scope(name);
      if (first.empty()) first = product(plain, in).values();
      CHECK(same_bits(product(plain, in).values(), first));
      CHECK(same_bits(product(packed, transposed).values(), first));
    }
  }
}

// Products of these sizes are worth eight threads: by panels of columns, and by rows.
TEST_CASE("gemm gives the same bits for any number of threads and on every fused backend") {
  for (const auto& [m, n, k] : std::vector<std::array<std::size_t, 3>>{
           {41, 531, 211}, {307, 61, 257}, {7, 640, 1024}, {256, 192, 512}}) {
    for (const Transpose transpose : kTransposes) {
      Problem p{m, n, k, transpose, transpose, 1, 1};
      const Operands in(p);
      std::vector<float> fused;
      for (const BackendInfo& backend : backends()) {
        if (!backend.runnable) continue;
        const BackendScope scope(backend.name);
        p.threads = 1;
        const std::vector<float> serial = product(p, in).values();
        if (backend.fused && fused.empty()) fused = serial;
        CAPTURE(backend.name, m, n, k);
        if (backend.fused) CHECK(same_bits(serial, fused));
        for (const int threads : {2, 3, 8}) {
          CAPTURE(threads);
          p.threads = threads;
          CHECK(same_bits(product(p, in).values(), serial));
        }
      }
    }
  }
}

const std::vector<Problem> kSpecialProblems{
    {7, 19, 5}, {30, 70, 5}, {7, 19, 0}, {7, 19, 5, Transpose::no, Transpose::no, 0}};

TEST_CASE("gemm with beta = 0 never reads C") {
  for (const Problem& p : kSpecialProblems) {
    Operands in(p);
    const Expected expected(p, in);
    in.c.fill(std::vector<float>(p.m * p.n, kNaN));
    in.c.at(1, 2) = kInfinity;
    for (const std::string& name : runnable_backends()) {
      CAPTURE(name, p.m, p.n, p.k, p.alpha);
      const BackendScope scope(name);
      CHECK(expected.worst_error(product(p, in)) <= error_bound(p, false));
    }
  }
}

TEST_CASE("gemm with another beta carries NaN and infinities of C on, and only to their element") {
  for (Problem p : kSpecialProblems) {
    p.beta = 0.5f;
    Operands in(p);
    in.c.at(1, 2) = kNaN;
    in.c.at(6, 18) = -kInfinity;
    for (const std::string& name : runnable_backends()) {
      CAPTURE(name, p.m, p.n, p.k, p.alpha);
      const BackendScope scope(name);
      const std::vector<float> c = product(p, in).values();
      CHECK(std::isnan(c[p.n + 2]));
      CHECK(c[6 * p.n + 18] == -kInfinity);
      CHECK(std::ranges::count_if(c, [](float x) { return !std::isfinite(x); }) == 2);
    }
  }
}

TEST_CASE("gemm carries NaN of A to its row and an infinity of B to its column") {
  const Problem p{26, 67, 9};
  Operands in(p);
  in.a.at(4, 8) = kNaN;
  in.b.at(0, 66) = kInfinity;
  for (const std::string& name : runnable_backends()) {
    CAPTURE(name);
    const BackendScope scope(name);
    const GuardedMatrix c = product(p, in);
    for (std::size_t i = 0; i < p.m; ++i) {
      for (std::size_t j = 0; j < p.n; ++j) {
        if (std::isnan(c.at(i, j)) != (i == 4)) FAIL_CHECK("NaN at " << i << ", " << j);
        if (i != 4 && std::isinf(c.at(i, j)) != (j == 66)) FAIL_CHECK("inf at " << i << ", " << j);
      }
    }
  }
}

TEST_CASE("gemm with alpha = 0 or k = 0 reads neither A nor B") {
  const float two = 2;
  for (const std::string& name : runnable_backends()) {
    CAPTURE(name);
    const BackendScope scope(name);
    float c = 3;
    gemm(Transpose::no, Transpose::no, 1, 1, 1, 0, &kNaN, 1, &kInfinity, 1, two, &c, 1);
    CHECK(c == 6);
    gemm(Transpose::no, Transpose::no, 1, 1, 5, 0, nullptr, 0, nullptr, 0, two, &c, 1);
    CHECK(c == 12);
    gemm(Transpose::no, Transpose::no, 1, 1, 0, 1, nullptr, 0, nullptr, 0, two, &c, 1);
    CHECK(c == 24);
  }
}

TEST_CASE("gemm of no rows or no columns does nothing") {
  gemm(Transpose::no, Transpose::no, 0, 5, 3, 1, nullptr, 3, nullptr, 5, 0, nullptr, 5);
  gemm(Transpose::no, Transpose::no, 5, 0, 3, 1, nullptr, 3, nullptr, 0, 0, nullptr, 0);
  SUCCEED("nothing was read or written");
}

TEST_CASE("gemm names the argument that does not fit") {
  float x[64] = {};
  const auto call = [&](Transpose transpose, std::size_t lda, std::size_t ldb, std::size_t ldc,
                        const float* a, float* c) {
    gemm(transpose, transpose, 2, 3, 4, 1, a, lda, x, ldb, 0, c, ldc);
  };
  CHECK_NOTHROW(call(Transpose::no, 4, 3, 3, x, x + 32));
  CHECK_NOTHROW(call(Transpose::yes, 2, 4, 3, x, x + 32));
  CHECK_THROWS_WITH(call(Transpose::no, 3, 3, 3, x, x), ContainsSubstring("lda"));
  CHECK_THROWS_WITH(call(Transpose::yes, 1, 4, 3, x, x), ContainsSubstring("lda"));
  CHECK_THROWS_WITH(call(Transpose::no, 4, 2, 3, x, x), ContainsSubstring("ldb"));
  CHECK_THROWS_WITH(call(Transpose::yes, 2, 3, 3, x, x), ContainsSubstring("ldb"));
  CHECK_THROWS_WITH(call(Transpose::no, 4, 3, 2, x, x), ContainsSubstring("ldc"));
  CHECK_THROWS_WITH(call(Transpose::no, 4, 3, 3, nullptr, x), ContainsSubstring("A or B is null"));
  CHECK_THROWS_WITH(call(Transpose::no, 4, 3, 3, x, nullptr), ContainsSubstring("C is null"));
  CHECK_THROWS_AS(call(Transpose::no, 3, 3, 3, x, x), std::invalid_argument);
  CHECK_THROWS_AS(gemm(Transpose::no, Transpose::no, 1, 1, 1, 1, x, 1, x, 1, 0, x + 1, 1, -1),
                  std::invalid_argument);
}

}  // namespace
}  // namespace lockstep
