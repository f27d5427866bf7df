#include "lockstep/gemm.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>
#include <utility>
#include <vector>

#include "gemm_oracle.h"

namespace lockstep {
namespace {

constexpr std::array<Transpose, 2> kTransposes{Transpose::no, Transpose::yes};

// Every way through the plan: B in place or packed beforehand; a transposed A of so long rows that
// it is copied beforehand (530 rows of 520 steps); more k than a block (512), more rows than a
// block (192), more columns than are packed together (64, 1024 for several blocks of rows); one or
// two rows by several panels at once; one row along the rows of B, of more columns than are done at
// once (4096).
constexpr std::array<std::array<std::size_t, 3>, 16> kPlannedShapes{{{67, 129, 300},
                                                                     {101, 103, 107},
                                                                     {31, 131, 557},
                                                                     {5, 64, 2111},
                                                                     {9, 77, 1030},
                                                                     {29, 35, 4099},
                                                                     {197, 300, 600},
                                                                     {205, 1100, 70},
                                                                     {530, 131, 520},
                                                                     {100, 600, 500},
                                                                     {1, 131, 300},
                                                                     {1, 4213, 37},
                                                                     {1, 37, 1030},
                                                                     {1, 139, 58},
                                                                     {2, 139, 600},
                                                                     {530, 70, 520}}};

TEST_CASE("gemm is right for every plan") {
  for (const auto& [m, n, k] : kPlannedShapes) {
    const GemmValues values(m, n, k);
    for (const auto& [alpha, beta] : {std::pair{1.0f, 1.0f}, {1.0f, 0.0f}, {-0.7f, 0.3f}}) {
      const GemmOracle oracle(values, alpha, beta, {k});
      for (const Transpose transpose_a : kTransposes) {
        for (const Transpose transpose_b : kTransposes) {
          const GemmProblem p{m, n, k, transpose_a, transpose_b, alpha, beta, 1, 2};
          const GemmOperands in(p, values);
          check_on_backends(runnable_infos(), p, oracle, [&] { return product(p, in); });
        }
      }
    }
  }
  SUCCEED("every product was right");
}

// Products of these sizes are worth eight threads: by panels of columns, and by rows.
TEST_CASE("gemm is right for any number of threads") {
  for (const auto& [m, n, k] : std::vector<std::array<std::size_t, 3>>{
           {41, 531, 211}, {307, 61, 257}, {7, 640, 1024}, {256, 192, 512}, {530, 70, 520}}) {
    const GemmValues values(m, n, k);
    const GemmOracle oracle(values, 1, 1, {k});
    for (const Transpose transpose : kTransposes) {
      GemmProblem p{m, n, k, transpose, transpose, 1, 1};
      const GemmOperands in(p, values);
      for (const int threads : {1, 2, 3, 8}) {
        p.threads = threads;
        check_on_backends(runnable_infos(), p, oracle, [&] { return product(p, in); });
      }
    }
  }
  SUCCEED("every product was right");
}

// Backends without fused multiply-add promise no bits across each other, but each keeps its own.
TEST_CASE("gemm gives the same bits for any number of threads on every backend") {
  GemmProblem p{41, 531, 211, Transpose::no, Transpose::no, 1, 1};
  const GemmOperands in(p, GemmValues(p.m, p.n, p.k));
  for (const std::string& name : runnable_backends()) {
    CAPTURE(name);
    const BackendScope scope(name);
    p.threads = 1;
    const std::vector<float> serial = product(p, in).values();
    for (const int threads : {2, 3, 8}) {
      CAPTURE(threads);
      p.threads = threads;
      CHECK(same_bits(product(p, in).values(), serial));
    }
  }
}

const std::vector<GemmProblem> kSpecialProblems{
    {7, 19, 5}, {30, 70, 5}, {7, 19, 0}, {7, 19, 5, Transpose::no, Transpose::no, 0}};

TEST_CASE("gemm with another beta carries NaN and infinities of C on, and only to their element") {
  for (GemmProblem p : kSpecialProblems) {
    p.beta = 0.5f;
    GemmOperands in(p, GemmValues(p.m, p.n, p.k));
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
  const GemmProblem p{26, 67, 9};
  GemmOperands in(p, GemmValues(p.m, p.n, p.k));
  in.a.at(4, 8) = kNaN;
  in.b.at(0, 66) = kInfinity;
  for (const std::string& name : runnable_backends()) {
    CAPTURE(name);
    const BackendScope scope(name);
    const GuardedMatrix c = product(p, in);
    std::vector<std::pair<std::size_t, std::size_t>> wrong;
    for (std::size_t i = 0; i < p.m; ++i) {
      for (std::size_t j = 0; j < p.n; ++j) {
        const bool infinite = std::isinf(c.at(i, j));
        const bool nan = std::isnan(c.at(i, j));
        if (nan != (i == 4) || infinite != (i != 4 && j == 66)) wrong.emplace_back(i, j);
      }
    }
    CHECK(wrong.empty());
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
