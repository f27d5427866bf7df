// Products of every size from 0 to 40 and of random large ones, by all three functions, in every
// combination of transposes, factors, strides and alignment: see GemmOracle for what is right.
#include <array>
#include <cmath>
#include <iostream>

#include "gemm_oracle.h"

namespace lockstep {
namespace {

constexpr std::size_t kLargest = 40;
constexpr std::size_t kSizes = kLargest + 1;
// Columns, more than any tile or panel has; one row or two go by several panels at once.
constexpr std::size_t kWidest = 70;
constexpr std::size_t kWidestOfFewRows = 134;
constexpr std::array kTransposes{Transpose::no, Transpose::yes};
// Every second is not 0, so that of two neighbours one multiplies.
constexpr std::array kFactors{1.0f, 0.0f, -1.0f, 0.37f};
constexpr std::size_t kVariants = 2 * 2 * kFactors.size() * kFactors.size();

struct Layout {
  std::size_t slack, offset;
};
constexpr std::array<Layout, 8> kLayouts{
    {{0, 0}, {3, 5}, {0, 1}, {1, 0}, {16, 3}, {0, 15}, {13, 0}, {2, 7}}};

GuardedMatrix packed_product(const GemmProblem& p, const GemmOperands& in) {
  GuardedMatrix c = in.c;
  PackedMatrix b(p.k, p.n);
  b.pack(p.transpose_b, in.b.data(), in.b.stride());
  PackedGemm g;
  g.m = p.m;
  g.a = in.a.data();
  g.lda = in.a.stride();
  g.start = p.beta == 0 ? nullptr : c.data();
  g.start_stride = c.stride();
  g.c = c.data();
  g.ldc = c.stride();
  gemm_packed(g, b);
  return c;
}

class Sweep {
 public:
  Sweep() {
    std::vector<std::size_t> depths;
    for (std::size_t k = 0; k < kSizes; ++k) depths.push_back(k);
    for (const float beta : kFactors) {
      for (const float alpha : kFactors) oracles_.emplace_back(values_, alpha, beta, depths);
    }
  }

  void check_gemm(std::size_t m, std::size_t n, std::size_t k, std::size_t variant,
                  const Layout& layout) const {
    GemmProblem p = problem(m, n, k, layout);
    p.transpose_a = kTransposes[variant % 2];
    p.transpose_b = kTransposes[variant / 2 % 2];
    const std::size_t factors = variant / 4;
    p.alpha = kFactors[factors % kFactors.size()];
    p.beta = kFactors[factors / kFactors.size()];
    const GemmOperands in(p, values_);
    check_on_backends(backends_, p, oracles_[factors], [&] { return product(p, in); });
  }

  // beta = 1: the chains start from C.
  void check_packed(std::size_t m, std::size_t n, std::size_t k, float beta, Transpose transpose,
                    const Layout& layout) const {
    GemmProblem p = problem(m, n, k, layout);
    p.transpose_b = transpose;
    p.beta = beta;
    const GemmOperands in(p, values_);
    check_on_backends(backends_, p, oracle_of_sum(beta), [&] { return packed_product(p, in); });
  }

  // In three parts, as threads share the rows.
  void check_accumulate(std::size_t m, std::size_t n, std::size_t k, const Layout& layout) const {
    GemmProblem p = problem(m, n, k, layout);
    p.transpose_a = Transpose::yes;
    p.beta = 1;
    const GemmOperands in(p, values_);
    check_on_backends(backends_, p, oracle_of_sum(1), [&] {
      GuardedMatrix c = in.c;
      const std::array<std::size_t, 4> cuts{0, m / 3, m - m / 4, m};
      for (std::size_t part = 0; part < 3; ++part) {
        gemm_accumulate_transposed(n, k, in.a.data(), in.a.stride(), in.b.data(), in.b.stride(),
                                   c.data(), c.stride(), cuts[part], cuts[part + 1]);
      }
      return c;
    });
  }

 private:
  static GemmProblem problem(std::size_t m, std::size_t n, std::size_t k, const Layout& layout) {
    GemmProblem p{m, n, k};
    p.slack = layout.slack;
    p.offset = layout.offset;
    return p;
  }

  [[nodiscard]] const GemmOracle& oracle_of_sum(float beta) const {
    return oracles_[beta == 0 ? kFactors.size() : 0];
  }

  GemmValues values_{kLargest, kWidestOfFewRows, kLargest};
  std::vector<GemmOracle> oracles_;  // by variant / 4
  std::vector<BackendInfo> backends_ = runnable_infos();
};

TEST_CASE("the oracle of products sees a wrong bit, a wrong value and a NaN") {
  const GemmProblem p{3, 5, 7, Transpose::no, Transpose::no, 0.37f, -1};
  const GemmValues values(p.m, p.n, p.k);
  const GemmOracle oracle(values, p.alpha, p.beta, {p.k});
  GuardedMatrix c(p.m, p.n);
  for (std::size_t i = 0; i < p.m; ++i) {
    for (std::size_t j = 0; j < p.n; ++j) {
      c.at(i, j) = p.beta * values.c[i * p.n + j];
      for (std::size_t q = 0; q < p.k; ++q) {
        c.at(i, j) = std::fma(values.a[i * p.k + q], p.alpha * values.b[q * p.n + j], c.at(i, j));
      }
    }
  }
  CHECK(oracle.wrong_elements(c, p.k, true) == 0);
  c.at(2, 4) = std::nextafter(c.at(2, 4), kInfinity);
  CHECK(oracle.wrong_elements(c, p.k, true) == 1);
  CHECK(oracle.wrong_elements(c, p.k, false) == 0);
  c.at(0, 0) += 0.001f;
  CHECK(oracle.wrong_elements(c, p.k, false) == 1);
  c.at(1, 0) = kNaN;
  CHECK(oracle.wrong_elements(c, p.k, false) == 2);
}

TEST_CASE("guards see what is written before, between and after the rows of a matrix") {
  constexpr std::ptrdiff_t kStride = 5 + 2;
  for (const std::ptrdiff_t at : {std::ptrdiff_t{-1}, std::ptrdiff_t{5}, kStride - 1, kStride + 5,
                                  2 * kStride + 5, 2 * kStride + 60}) {
    CAPTURE(at);
    GuardedMatrix matrix(3, 5, 2, 1);
    for (std::size_t i = 0; i < 15; ++i) matrix.at(i / 5, i % 5) = kNaN;
    CHECK(matrix.guards_intact());
    matrix.data()[at] = 0;
    CHECK_FALSE(matrix.guards_intact());
  }
}

// Each shape takes two variants and a layout in turn. The turns have a period of 512, which has no
// factor in common with the 41 sizes: so every size of m, n and k meets every variant in every
// layout.
TEST_CASE("gemm is right for every size to 40, its factors in turn") {
  const Sweep sweep;
  std::size_t turn = 0;
  for (std::size_t m = 0; m < kSizes; ++m) {
    for (std::size_t n = 0; n < kSizes; ++n) {
      for (std::size_t k = 0; k < kSizes; ++k, ++turn) {
        const Layout& layout = kLayouts[turn / kVariants % kLayouts.size()];
        sweep.check_gemm(m, n, k, turn % kVariants, layout);
        sweep.check_gemm(m, n, k, (turn + 4) % kVariants, layout);
      }
    }
  }
  CHECK(turn == kSizes * kSizes * kSizes);
}

// The one of these that has its turn.
void check_other_product(const Sweep& sweep, std::size_t m, std::size_t n, std::size_t k,
                         std::size_t turn) {
  const Layout& layout = kLayouts[turn / 6 % kLayouts.size()];
  if (turn % 3 == 2) return sweep.check_accumulate(m, n, k, layout);
  sweep.check_packed(m, n, k, turn % 3 == 0 ? 0 : 1, kTransposes[turn / 3 % 2], layout);
}

TEST_CASE("packed products and weight gradients are right for every size to 40, in turn") {
  const Sweep sweep;
  std::size_t turn = 0;
  for (std::size_t m = 0; m < kSizes; ++m) {
    for (std::size_t n = 0; n < kSizes; ++n) {
      for (std::size_t k = 0; k < kSizes; ++k, ++turn) check_other_product(sweep, m, n, k, turn);
    }
  }
  CHECK(turn == kSizes * kSizes * kSizes);
}

// Up to four tiles of rows and more columns than a tile has.
TEST_CASE("all products are right for wide matrices") {
  const Sweep sweep;
  std::size_t turn = 0;
  std::size_t last_n = 0;
  for (std::size_t m = 1; m <= 24; ++m) {
    last_n = m <= 3 ? kWidestOfFewRows : kWidest;
    for (std::size_t n = kSizes; n <= last_n; ++n) {
      for (const std::size_t k : {1u, 2u, 17u}) {
        sweep.check_gemm(m, n, k, turn % kVariants, kLayouts[turn / kVariants % kLayouts.size()]);
        for (std::size_t other = 0; other < 3; ++other) {
          check_other_product(sweep, m, n, k, turn + other);
        }
        turn += 5;
      }
    }
  }
  CHECK(last_n == kWidest);
  CHECK(turn == 5 * 3 * (24 * (kWidest - kLargest) + 3 * (kWidestOfFewRows - kWidest)));
}

// Four minutes on one core of Zen 4; a section (-c "transposes 0") is a quarter of them.
TEST_CASE("all products are right for every size to 40 with all factors", "[.][exhaustive]") {
  const Sweep sweep;
  for (std::size_t transposes = 0; transposes < 4; ++transposes) {
    DYNAMIC_SECTION("transposes " << transposes) {
      for (std::size_t m = 0; m < kSizes; ++m) {
        for (std::size_t n = 0; n < kSizes; ++n) {
          for (std::size_t k = 0; k < kSizes; ++k) {
            for (std::size_t v = transposes; v < kVariants; v += 4) {
              sweep.check_gemm(m, n, k, v, kLayouts[0]);
              sweep.check_gemm(m, n, k, v, kLayouts[1]);
            }
            for (std::size_t turn = transposes; turn < 48; turn += 4) {
              check_other_product(sweep, m, n, k, turn);
            }
          }
        }
        if (m % 10 == 0) std::cerr << "gemm, transposes " << transposes << ": m = " << m << '\n';
      }
      SUCCEED("every product was right");
    }
  }
}

// Sizes of every magnitude, long ones in one or two directions.
GemmProblem random_problem(Random& random) {
  constexpr double kLargestLog = 7.5;
  constexpr std::size_t kLargestWork = 5'000'000;
  GemmProblem p{0, 0, 0};
  do {
    for (std::size_t* size : {&p.m, &p.n, &p.k}) {
      *size = static_cast<std::size_t>(std::exp(random.uniform(0, kLargestLog)));
    }
  } while (p.m * p.n * p.k > kLargestWork || p.m * p.n * p.k < kLargestWork / 100);
  p.transpose_a = kTransposes[random.index(2)];
  p.transpose_b = kTransposes[random.index(2)];
  p.alpha = random.index(2) == 0 ? 1 : kFactors[random.index(4)];
  p.beta = kFactors[random.index(4)];
  p.slack = random.index(20);
  p.offset = random.index(16);
  return p;
}

void check_random_problems(int count, std::uint64_t seed) {
  Random random(seed);
  for (int i = 0; i < count; ++i) {
    GemmProblem p = random_problem(random);
    const GemmValues values(p.m, p.n, p.k);
    const GemmOracle oracle(values, p.alpha, p.beta, {p.k});
    const GemmOperands in(p, values);
    for (const int threads : {1, 2 + static_cast<int>(random.index(7))}) {
      p.threads = threads;
      check_on_backends(runnable_infos(), p, oracle, [&] { return product(p, in); });
    }
    if (i % 200 == 199) std::cerr << "gemm: " << i + 1 << " random products\n";
  }
  SUCCEED("every product was right");
}

TEST_CASE("gemm of random large sizes is right for any number of threads") {
  check_random_problems(30, 1);
}

TEST_CASE("gemm of very many random large sizes is right for any number of threads",
          "[.][exhaustive]") {
  check_random_problems(2000, 2);
}

// The weight gradient of a batch goes over blocks of 512 steps of k and of 192 rows. B is read in
// place up to 256 KiB or for up to eight times as many rows as a panel has columns (8 to 64; panels
// of a cache line or less: half of that where rows are far apart), else
// packed, as a transposed B always is. Each depth has the columns at which B is just not beyond
// that size and just is.
struct Boundary {
  std::size_t k, n;
};
constexpr std::array<Boundary, 8> kBoundaries{{{511, 128},
                                               {511, 129},
                                               {512, 128},
                                               {512, 129},
                                               {513, 127},
                                               {513, 128},
                                               {1025, 63},
                                               {1025, 64}}};

TEST_CASE("products are right at the boundaries of blocks and plans") {
  const GemmValues values(513, 129, 1025);
  const GemmOracle oracle(values, 1, 1, {511, 512, 513, 1025});
  const std::vector<BackendInfo> all = runnable_infos();
  for (const auto& [k, n] : kBoundaries) {
    for (const std::size_t rows : {1u, 2u, 3u, 17u, 64u, 65u, 128u, 129u, 192u, 193u, 512u, 513u}) {
      GemmProblem p{rows, n, k, Transpose::yes, Transpose::no, 1, 1};
      const GemmOperands in(p, values);
      check_on_backends(all, p, oracle, [&] { return product(p, in); });
      check_on_backends(all, p, oracle, [&] {
        GuardedMatrix c = in.c;
        gemm_accumulate_transposed(n, k, in.a.data(), in.a.stride(), in.b.data(), in.b.stride(),
                                   c.data(), c.stride(), 0, rows);
        return c;
      });
      p.transpose_b = Transpose::yes;
      const GemmOperands transposed(p, values);
      check_on_backends(all, p, oracle, [&] { return product(p, transposed); });
      p.transpose_a = Transpose::no;
      const GemmOperands plain_a(p, values);
      check_on_backends(all, p, oracle, [&] { return packed_product(p, plain_a); });
    }
  }
  SUCCEED("every product was right");
}

}  // namespace
}  // namespace lockstep
