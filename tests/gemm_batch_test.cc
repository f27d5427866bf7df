// Many products in one call: the bits of the loop over gemm.
#include "lockstep/gemm_batch.h"

#include <array>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "allocation_count.h"
#include "backend_scope.h"
#include "catch.h"
#include "dispatch.h"
#include "gemm/planned.h"
#include "guarded_matrix.h"
#include "lockstep/backend.h"
#include "lockstep/gemm.h"

namespace lockstep {
namespace {

struct BatchProblem {
  std::size_t m, n, k;
  std::size_t count;
  Transpose transpose_a = Transpose::no;
  Transpose transpose_b = Transpose::no;
  float alpha = 1;
  float beta = 0;
  bool one_b = false;  // of all products
};

// The matrices of all products, one below the other, with guards between all rows.
struct BatchOperands {
  explicit BatchOperands(const BatchProblem& p)
      : a(stacked(p.count, p.m, p.k, p.transpose_a, 1)),
        b(stacked(p.one_b ? 1 : p.count, p.k, p.n, p.transpose_b, 2)),
        c(stacked(p.count, p.m, p.n, Transpose::no, 3)),
        stride_a(stride(a, p.count)),
        stride_b(p.one_b ? 0 : stride(b, p.count)),
        stride_c(stride(c, p.count)) {
    if (p.beta == 0) c.fill(std::vector<float>(c.rows() * c.cols(), kNaN));  // must not be read
  }

  static GuardedMatrix stacked(std::size_t count, std::size_t rows, std::size_t cols,
                               Transpose transpose, std::uint64_t seed) {
    if (transpose == Transpose::yes) std::swap(rows, cols);
    return normal_matrix(count * rows, cols, seed, /*slack=*/3, /*offset=*/1);
  }
  static std::size_t stride(const GuardedMatrix& m, std::size_t count) {
    return m.rows() / count * m.stride();
  }

  GuardedMatrix a, b, c;
  std::size_t stride_a, stride_b, stride_c;
};

// By gemm, one after the other on this thread.
GuardedMatrix expected(const BatchProblem& p, const BatchOperands& in) {
  GuardedMatrix c = in.c;
  for (std::size_t i = 0; i < p.count; ++i) {
    gemm(p.transpose_a, p.transpose_b, p.m, p.n, p.k, p.alpha, in.a.data() + i * in.stride_a,
         in.a.stride(), in.b.data() + i * in.stride_b, in.b.stride(), p.beta,
         c.data() + i * in.stride_c, c.stride(), 1);
  }
  return c;
}

GuardedMatrix strided(const BatchProblem& p, const BatchOperands& in, int threads) {
  GuardedMatrix c = in.c;
  gemm_batch_strided(p.transpose_a, p.transpose_b, p.m, p.n, p.k, p.alpha, in.a.data(),
                     in.a.stride(), in.stride_a, in.b.data(), in.b.stride(), in.stride_b, p.beta,
                     c.data(), c.stride(), in.stride_c, p.count, threads);
  return c;
}

// Pointers to the products of a batch, the last first.
template <class Float>
std::vector<Float*> pointers(Float* first, std::size_t stride, std::size_t count) {
  std::vector<Float*> all;
  for (std::size_t i = count; i-- > 0;) all.push_back(first + i * stride);
  return all;
}

GuardedMatrix by_pointers(const BatchProblem& p, const BatchOperands& in, int threads) {
  GuardedMatrix c = in.c;
  const std::vector<const float*> a = pointers(in.a.data(), in.stride_a, p.count);
  const std::vector<const float*> b = pointers(in.b.data(), in.stride_b, p.count);
  const std::vector<float*> c_of = pointers(c.data(), in.stride_c, p.count);
  gemm_batch(p.transpose_a, p.transpose_b, p.m, p.n, p.k, p.alpha, a.data(), in.a.stride(),
             b.data(), in.b.stride(), p.beta, c_of.data(), c.stride(), p.count, threads);
  return c;
}

void check_both_forms(const BatchProblem& p, const BatchOperands& in) {
  const std::vector<float> values = expected(p, in).values();
  for (const int threads : {1, 2, 3, 4}) {
    CAPTURE(p.m, p.n, p.k, p.count, p.alpha, p.beta, threads);
    CAPTURE(static_cast<int>(p.transpose_a), static_cast<int>(p.transpose_b));
    for (const auto form : {strided, by_pointers}) {
      const GuardedMatrix c = form(p, in, threads);
      if (same_bits(c.values(), values) && c.guards_intact()) continue;
      FAIL((form == strided ? "strided" : "by pointers") << " on " << last_backend());
    }
  }
}

template <class Check>
void on_every_backend(const Check& check) {
  for (const std::string& name : runnable_backends()) {
    const BackendScope scope(name);
    check();
  }
}

// In one piece, in several panels, along the rows of B, scaled only, nothing to do.
constexpr std::array<BatchProblem, 7> kSmall{{{.m = 1, .n = 1, .k = 1, .count = 5},
                                              {.m = 7, .n = 15, .k = 17, .count = 3},
                                              {.m = 8, .n = 8, .k = 8, .count = 1},
                                              {.m = 13, .n = 150, .k = 40, .count = 3},
                                              {.m = 1, .n = 131, .k = 300, .count = 3},
                                              {.m = 3, .n = 5, .k = 0, .count = 7},
                                              {.m = 0, .n = 5, .k = 3, .count = 2}}};

TEST_CASE("a batch has the bits of the loop over gemm") {
  for (BatchProblem p : kSmall) {
    for (const auto& [alpha, beta] :
         {std::pair{1.0f, 1.0f}, {1.0f, 0.0f}, {-0.7f, 0.3f}, {0.0f, 2.0f}}) {
      for (const Transpose transpose_a : {Transpose::no, Transpose::yes}) {
        for (const Transpose transpose_b : {Transpose::no, Transpose::yes}) {
          p.alpha = alpha;
          p.beta = beta;
          p.transpose_a = transpose_a;
          p.transpose_b = transpose_b;
          const BatchOperands in(p);
          on_every_backend([&] { check_both_forms(p, in); });
        }
      }
    }
  }
  SUCCEED("all were compared");
}

// Enough work for four threads: over many products, over a few, and within each of two.
constexpr std::array<BatchProblem, 4> kLarge{{{.m = 7, .n = 15, .k = 17, .count = 1001},
                                              {.m = 20, .n = 50, .k = 50, .count = 41},
                                              {.m = 67, .n = 129, .k = 300, .count = 5},
                                              {.m = 67, .n = 129, .k = 300, .count = 2}}};

TEST_CASE("threads that share products or each product change no bit") {
  for (BatchProblem p : kLarge) {
    for (const Transpose transpose_b : {Transpose::no, Transpose::yes}) {
      p.transpose_b = transpose_b;
      const BatchOperands in(p);
      on_every_backend([&] { check_both_forms(p, in); });
    }
  }
  SUCCEED("all were compared");
}

int threads_over(std::size_t m, std::size_t n, std::size_t k, std::size_t count, int threads) {
  const Product p{.m = m, .n = n, .k = k, .lda = k, .ldb = n, .ldc = n};
  constexpr Traits kAvx2{.lanes = 8, .panel = 16, .exact_b = true, .blocking = blocking};
  return threads_over_products(p, choose(p, kAvx2, threads), threads, count);
}

TEST_CASE("threads share products, or each product where there are fewer") {
  constexpr auto kPaid = static_cast<std::size_t>(kProductWorkPerThread) / 512;
  CHECK(threads_over(8, 8, 8, kPaid - 1, 8) == 1);
  CHECK(threads_over(8, 8, 8, kPaid + 1, 8) == 2);
  CHECK(threads_over(8, 8, 8, 20 * kPaid, 8) == 8);
  CHECK(threads_over(8, 8, 8, 20 * kPaid, 1) == 1);
  CHECK(threads_over(256, 256, 256, 9, 8) == 8);
  CHECK(threads_over(256, 256, 256, 8, 8) == 8);
  CHECK(threads_over(256, 256, 256, 7, 8) == 1);
  CHECK(threads_over(256, 256, 0, 1000, 8) == 1);
}

TEST_CASE("no thread is idle while others compute a product that pays for all") {
  CHECK(products_left({.threads = 8}, 8, 9) == 1);
  CHECK(products_left({.threads = 2}, 2, 3) == 1);
  CHECK(products_left({.threads = 8}, 8, 16) == 0);
  CHECK(products_left({.threads = 1}, 8, 9) == 0);
}

TEST_CASE("products share an operand whose stride is 0, and parts of it") {
  constexpr std::size_t kM = 5, kN = 9, kK = 7, kCount = 6;
  const std::vector<float> a = normal_floats(kCount * kM * kK, 1);
  const std::vector<float> b = normal_floats(kCount * kK * kN, 2);
  const auto check = [&](std::size_t stride_a, std::size_t stride_b) {
    std::vector<float> c(kCount * kM * kN);
    std::vector<float> one(kM * kN);
    gemm_batch_strided(Transpose::no, Transpose::no, kM, kN, kK, 1, a.data(), kK, stride_a,
                       b.data(), kN, stride_b, 0, c.data(), kN, kM * kN, kCount);
    for (std::size_t i = 0; i < kCount; ++i) {
      gemm(Transpose::no, Transpose::no, kM, kN, kK, 1, a.data() + i * stride_a, kK,
           b.data() + i * stride_b, kN, 0, one.data(), kN);
      CHECK(same_bits(std::span(c).subspan(i * kM * kN, kM * kN), one));
    }
  };
  on_every_backend([&] {
    check(0, kK * kN);
    check(kM * kK, 0);
    check(0, 0);
    check(1, kN);
  });
}

// A block of B, several blocks of k, blocks of rows, and groups of panels; a transposed A of more
// than a megabyte.
constexpr std::array<BatchProblem, 7> kOfOneB{{{.m = 7, .n = 15, .k = 17, .count = 5},
                                               {.m = 1, .n = 3, .k = 2, .count = 900},
                                               {.m = 20, .n = 50, .k = 50, .count = 41},
                                               {.m = 67, .n = 129, .k = 300, .count = 5},
                                               {.m = 200, .n = 20, .k = 600, .count = 2},
                                               {.m = 2, .n = 2100, .k = 520, .count = 3},
                                               {.m = 513, .n = 64, .k = 514, .count = 2}}};

TEST_CASE("products of one B that is copied have the bits of the loop over gemm") {
  for (BatchProblem p : kOfOneB) {
    p.one_b = true;
    for (const auto& [alpha, beta] : {std::pair{1.0f, 0.0f}, {-0.7f, 0.3f}}) {
      for (const Transpose transpose_a : {Transpose::no, Transpose::yes}) {
        for (const Transpose transpose_b : {Transpose::no, Transpose::yes}) {
          p.alpha = alpha;
          p.beta = beta;
          p.transpose_a = transpose_a;
          p.transpose_b = transpose_b;
          const BatchOperands in(p);
          on_every_backend([&] {
            // The reference rounds at each block of k, of which threads that share a product with
            // a transposed A may make others.
            const bool is_reference = active_backend().name == "reference";
            if (!is_reference || transpose_a == Transpose::no) check_both_forms(p, in);
          });
        }
      }
    }
  }
  SUCCEED("all were compared");
}

TEST_CASE("products in a row may share a B, and others have their own") {
  constexpr std::array<std::size_t, 9> kNumbers{0, 0, 1, 1, 1, 2, 0, 2, 2};
  constexpr std::size_t kM = 9, kN = 37, kK = 530;
  const std::vector<float> a = normal_floats(kNumbers.size() * kM * kK, 1);
  const std::vector<float> b = normal_floats(3 * kN * kK, 2);
  const std::vector<float> before = normal_floats(kNumbers.size() * kM * kN, 3);
  on_every_backend([&] {
    std::vector<float> expected = before;
    std::array<const float*, kNumbers.size()> a_of{};
    std::array<const float*, kNumbers.size()> b_of{};
    for (std::size_t i = 0; i < kNumbers.size(); ++i) {
      a_of[i] = a.data() + i * kM * kK;
      b_of[i] = b.data() + kNumbers[i] * kN * kK;
      gemm(Transpose::no, Transpose::yes, kM, kN, kK, 1, a_of[i], kK, b_of[i], kK, 1,
           expected.data() + i * kM * kN, kN, 1);
    }
    for (const int threads : {1, 2, 3}) {
      std::vector<float> c = before;
      const std::vector<float*> backwards = pointers(c.data(), kM * kN, kNumbers.size());
      const std::vector<float*> c_of(backwards.rbegin(), backwards.rend());
      gemm_batch(Transpose::no, Transpose::yes, kM, kN, kK, 1, a_of.data(), kK, b_of.data(), kK, 1,
                 c_of.data(), kN, kNumbers.size(), threads);
      CHECK(same_bits(c, expected));
    }
  });
}

std::size_t copied_panels = 0;

// The active backend, but that it counts the panels that it copies.
Backend counting_backend() {
  const Backend& b = dispatch();
  constexpr auto kCopy = [](const PanelRows& rows) {
    copied_panels += rows.panels;
    dispatch().copy_panels(rows);
  };
  return {.library = b.library,
          .target = b.target,
          .fused = b.fused,
          .lanes = b.lanes,
          .panel = b.panel,
          .panels_at_once = {b.panels_at_once[0], b.panels_at_once[1]},
          .exact_b = b.exact_b,
          .gemm_strip = b.gemm_strip,
          .gemv_strip = b.gemv_strip,
          .copy_panels = *+kCopy,
          .tanh = b.tanh,
          .tanh_rows = b.tanh_rows,
          .exp = b.exp,
          .sigmoid = b.sigmoid,
          .relu = b.relu,
          .softmax = b.softmax,
          .log_softmax = b.log_softmax,
          .lstm_forward = b.lstm_forward,
          .lstm_backward = b.lstm_backward,
          .gru_forward = b.gru_forward,
          .gru_backward = b.gru_backward};
}

TEST_CASE("a B is copied once for the products in a row that have it") {
  const Backend backend = counting_backend();
  const std::size_t n = 3 * backend.panel;
  constexpr std::size_t kM = 5, kK = 40, kCount = 1000;
  const std::vector<float> a = normal_floats(kM * kK, 1);
  const std::vector<float> b = normal_floats(2 * kK * n, 2);
  std::vector<float> c(kCount * kM * n);
  const std::vector<const float*> a_of(kCount, a.data());
  const std::vector<float*> c_of = pointers(c.data(), kM * n, kCount);
  const auto panels_copied = [&](const std::vector<const float*>& b_of) {
    const Product product{.m = kM, .n = n, .k = kK, .alpha = 2, .lda = kK, .ldb = n, .ldc = n};
    copied_panels = 0;
    multiply_batch(planned(product, backend, 1), kCount, a_of.data(), b_of.data(), c_of.data());
    return copied_panels;
  };
  std::vector<const float*> b_of(kCount, b.data());
  CHECK(panels_copied(b_of) == 3);
  b_of.back() = b.data() + kK * n;
  CHECK(panels_copied(b_of) == 2 * 3);
  for (std::size_t i = 0; i < kCount; i += 2) b_of[i] = b.data() + kK * n;
  CHECK(panels_copied(b_of) == (kCount - 1) * 3);
}

TEST_CASE("the products of a batch may be blocks of columns of one matrix") {
  constexpr std::size_t kM = 6, kN = 5, kK = 8, kCount = 4, kStride = kN + 1;
  const GuardedMatrix a = normal_matrix(kM, kCount * kK, 1);
  const GuardedMatrix b = normal_matrix(kK, kCount * kN, 2);
  on_every_backend([&] {
    // The floats between the blocks, and one after the last, are nobody's.
    GuardedMatrix c(kM, kCount * kStride);
    GuardedMatrix one_by_one = c;
    for (std::size_t i = 0; i < kCount; ++i) {
      gemm(Transpose::no, Transpose::no, kM, kN, kK, 1, a.data() + i * kK, a.stride(),
           b.data() + i * kN, b.stride(), 1, one_by_one.data() + i * kStride, c.stride());
    }
    gemm_batch_strided(Transpose::no, Transpose::no, kM, kN, kK, 1, a.data(), a.stride(), kK,
                       b.data(), b.stride(), kN, 1, c.data(), c.stride(), kStride, kCount);
    CHECK(same_bits(c.values(), one_by_one.values()));
    CHECK(c.guards_intact());
  });
}

GemmPlan plan_of(const BatchProblem& p, const BatchOperands& in, int threads) {
  return {p.transpose_a, p.transpose_b, p.m,    p.n,           p.k,    p.alpha,
          in.a.stride(), in.b.stride(), p.beta, in.c.stride(), threads};
}

GuardedMatrix run_strided(const GemmPlan& plan, const BatchProblem& p, const BatchOperands& in) {
  GuardedMatrix c = in.c;
  plan.run_batch_strided(p.count, in.a.data(), in.stride_a, in.b.data(), in.stride_b, c.data(),
                         in.stride_c);
  return c;
}

TEST_CASE("a plan runs batches on its own backend, on several threads at a time") {
  const std::vector<std::string> names = runnable_backends();
  const BatchProblem p{.m = 20, .n = 50, .k = 50, .count = 21, .beta = 1};
  const BatchOperands in(p);
  for (const std::string& name : names) {
    const auto [plan, values] = [&] {
      const BackendScope scope(name);
      return std::pair(plan_of(p, in, 2), expected(p, in).values());
    }();
    const BackendScope other(name == names.front() ? names.back() : names.front());
    CHECK(same_bits(run_strided(plan, p, in).values(), values));
    CHECK(last_backend() == name);
    std::array<std::vector<float>, 3> results;
    std::vector<std::thread> threads;
    for (std::vector<float>& result : results) {
      threads.emplace_back(
          [&, &same_plan = plan] { result = run_strided(same_plan, p, in).values(); });
    }
    for (std::thread& t : threads) t.join();
    for (const std::vector<float>& result : results) CHECK(same_bits(result, values));

    GuardedMatrix c = in.c;
    const std::vector<const float*> a = pointers(in.a.data(), in.stride_a, p.count);
    const std::vector<const float*> b = pointers(in.b.data(), in.stride_b, p.count);
    const std::vector<float*> c_of = pointers(c.data(), in.stride_c, p.count);
    plan.run_batch(p.count, a.data(), b.data(), c_of.data());
    CHECK(same_bits(c.values(), values));
  }
}

// Products of 2 x 4 by 4 x 3.
struct Small {
  void strided(std::size_t lda, std::size_t ldb, std::size_t ldc, std::size_t stride_c,
               std::size_t count, int threads = 1) {
    gemm_batch_strided(Transpose::no, Transpose::no, 2, 3, 4, 1, a.data(), lda, 0, b.data(), ldb, 0,
                       0, c.data(), ldc, stride_c, count, threads);
  }
  void by_pointers(float alpha = 1) {
    gemm_batch(Transpose::no, Transpose::no, 2, 3, 4, alpha, a_of.data(), 4, b_of.data(), 3, 0,
               c_of.data(), 3, 3, 1);
  }

  std::array<float, 8> a{1, 1, 1, 1, 1, 1, 1, 1};
  std::array<float, 12> b{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
  std::array<float, 100> c{};
  std::array<const float*, 3> a_of{a.data(), a.data(), a.data()};
  std::array<const float*, 3> b_of{b.data(), b.data(), b.data()};
  std::array<float*, 3> c_of{&c[0], &c[6], &c[12]};
};

TEST_CASE("a batch names the pointer that is null, and writes nothing") {
  for (std::size_t i = 0; i < 3; ++i) {
    const std::string at = "[" + std::to_string(i) + "] is null";
    Small s;
    s.a_of[i] = nullptr;
    CHECK_THROWS_WITH(s.by_pointers(), "gemm_batch: a" + at);
    CHECK_NOTHROW(s.by_pointers(/*alpha=*/0));
    s.a_of[i] = s.a.data();
    s.b_of[i] = nullptr;
    CHECK_THROWS_WITH(s.by_pointers(), "gemm_batch: b" + at);
    s.b_of[i] = s.b.data();
    s.c_of[i] = nullptr;
    CHECK_THROWS_WITH(s.by_pointers(), "gemm_batch: c" + at);
    CHECK(s.c == std::array<float, 100>{});
  }
  const auto with = [](const float* const* a, const float* const* b, float* const* c) {
    gemm_batch(Transpose::no, Transpose::no, 2, 3, 4, 1, a, 4, b, 3, 0, c, 3, 3);
  };
  const Small s;
  CHECK_THROWS_AS(with(nullptr, s.b_of.data(), s.c_of.data()), std::invalid_argument);
  CHECK_THROWS_AS(with(s.a_of.data(), nullptr, s.c_of.data()), std::invalid_argument);
  CHECK_THROWS_AS(with(s.a_of.data(), s.b_of.data(), nullptr), std::invalid_argument);
  const auto at = [](const float* a, const float* b, float* c) {
    gemm_batch_strided(Transpose::no, Transpose::no, 2, 3, 4, 1, a, 4, 8, b, 3, 12, 0, c, 3, 6, 2);
  };
  std::array<float, 12> c{};
  CHECK_THROWS_AS(at(nullptr, s.b.data(), c.data()), std::invalid_argument);
  CHECK_THROWS_AS(at(s.a.data(), nullptr, c.data()), std::invalid_argument);
  CHECK_THROWS_AS(at(s.a.data(), s.b.data(), nullptr), std::invalid_argument);
}

TEST_CASE("a batch refuses rows, numbers of threads and strides that do not fit") {
  Small s;
  CHECK_THROWS_AS(s.strided(3, 3, 3, 6, 2), std::invalid_argument);
  CHECK_THROWS_AS(s.strided(4, 2, 3, 6, 2), std::invalid_argument);
  CHECK_THROWS_AS(s.strided(4, 3, 2, 6, 2), std::invalid_argument);
  CHECK_THROWS_AS(s.strided(4, 3, 3, 6, 2, -1), std::invalid_argument);
  CHECK_THROWS_WITH(s.strided(4, 3, 3, 5, 2), "gemm_batch: stride_c makes products overlap in C");
  CHECK_THROWS_AS(s.strided(4, 3, 3, 0, 2), std::invalid_argument);
  CHECK_THROWS_AS(s.strided(4, 3, 5, 7, 2), std::invalid_argument);
  CHECK_THROWS_AS(s.strided(4, 3, 8, 2, 3), std::invalid_argument);
  CHECK_THROWS_AS(s.strided(4, 3, 8, 3, 3), std::invalid_argument);
  constexpr std::size_t kMost = static_cast<std::size_t>(-1);
  CHECK_THROWS_AS(s.strided(4, 3, kMost, kMost - 1, 3), std::invalid_argument);
  CHECK(s.c == std::array<float, 100>{});
  CHECK_NOTHROW(s.strided(4, 3, 3, 0, 1));
  CHECK_NOTHROW(s.strided(4, 3, 5, 8, 2));  // the last row needs no gap
  CHECK_NOTHROW(s.strided(4, 3, 9, 3, 3));
}

TEST_CASE("a batch of none needs no operands") {
  gemm_batch(Transpose::no, Transpose::no, 2, 3, 4, 1, nullptr, 4, nullptr, 3, 0, nullptr, 3, 0);
  gemm_batch_strided(Transpose::no, Transpose::no, 2, 3, 4, 1, nullptr, 4, 0, nullptr, 3, 0, 0,
                     nullptr, 3, 0, 0);
  // As do products without elements, or without steps of k.
  gemm_batch(Transpose::no, Transpose::no, 0, 3, 4, 1, nullptr, 4, nullptr, 3, 0, nullptr, 3, 5);
  std::array<float, 6> c{1, 1, 1, 1, 1, 1};
  const std::array<float*, 1> c_of{c.data()};
  gemm_batch(Transpose::no, Transpose::no, 2, 3, 0, 1, nullptr, 0, nullptr, 3, 0, c_of.data(), 3,
             1);
  CHECK(c == std::array<float, 6>{});
}

TEST_CASE("a batch of small products allocates nothing") {
  if (!allocation_count()) LOCKSTEP_SKIP("sanitizers have an operator new of their own");
  const BatchProblem p{.m = 7, .n = 15, .k = 17, .count = 1001};
  const BatchOperands in(p);
  GuardedMatrix c = in.c;
  const std::vector<const float*> a = pointers(in.a.data(), in.stride_a, p.count);
  const std::vector<const float*> b = pointers(in.b.data(), in.stride_b, p.count);
  const std::vector<float*> c_of = pointers(c.data(), in.stride_c, p.count);
  for (const int threads : {1, 2}) {
    const GemmPlan plan = plan_of(p, in, threads);
    const auto run = [&] {
      gemm_batch_strided(p.transpose_a, p.transpose_b, p.m, p.n, p.k, p.alpha, in.a.data(),
                         in.a.stride(), in.stride_a, in.b.data(), in.b.stride(), in.stride_b,
                         p.beta, c.data(), c.stride(), in.stride_c, p.count, threads);
      gemm_batch(p.transpose_a, p.transpose_b, p.m, p.n, p.k, p.alpha, a.data(), in.a.stride(),
                 b.data(), in.b.stride(), p.beta, c_of.data(), c.stride(), p.count, threads);
      plan.run_batch(p.count, a.data(), b.data(), c_of.data());
    };
    run();  // starts the threads
    const auto before = allocation_count();
    run();
    CHECK(allocation_count() == before);
  }
}

}  // namespace
}  // namespace lockstep
