// Products under their BLAS names: everything that netlib's tester of level 3 varies, and matrices
// larger than 32 bits count. Wrong arguments are in cblas_errors_test.cc.
#include <array>
#include <thread>
#include <vector>

#include "blas_calls.h"
#include "catch.h"
#include "gemm_oracle.h"
#include "lockstep/backend.h"

namespace lockstep {
namespace {

constexpr std::size_t kLargest = 35;
const std::vector<std::size_t> kSizes{0, 1, 2, 3, 5, 9, 31, kLargest};

std::vector<float> transposed(const std::vector<float>& values, std::size_t rows,
                              std::size_t cols) {
  std::vector<float> result(values.size());
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < cols; ++j) result[j * rows + i] = values[i * cols + j];
  }
  return result;
}

// C^T = B^T A^T, which is what a product in column order is in memory, row after row.
GemmValues mirror_of(const GemmValues& v) {
  GemmValues mirror = v;
  mirror.m = v.n;
  mirror.n = v.m;
  mirror.a = transposed(v.b, v.k, v.n);
  mirror.b = transposed(v.a, v.m, v.k);
  mirror.c = transposed(v.c, v.m, v.n);
  return mirror;
}

struct Problem {
  std::size_t m, n, k, slack;
  Operation op_a, op_b;
};

// All interfaces with one alpha and one beta.
class Sgemm {
 public:
  Sgemm(float alpha, float beta)
      : alpha_(alpha),
        beta_(beta),
        by_rows_(values_, alpha, beta, kSizes),
        by_columns_(mirror_of(values_), alpha, beta, kSizes) {
    if (alpha != 0) return;
    // Neither is to be read.
    values_.a.assign(values_.a.size(), kNaN);
    values_.b.assign(values_.b.size(), kNaN);
  }

  void check(Interface interface, const Problem& p) const {
    const bool rows = interface == Interface::c_by_rows;
    const GuardedMatrix a =
        upper_left(values_.a, kLargest, p.m, p.k, p.slack, 0, in_memory(p.op_a, interface));
    const GuardedMatrix b =
        upper_left(values_.b, kLargest, p.k, p.n, p.slack, 0, in_memory(p.op_b, interface));
    GuardedMatrix c = upper_left(values_.c, kLargest, p.m, p.n, p.slack, 0,
                                 rows ? Transpose::no : Transpose::yes);
    if (beta_ == 0) c.fill(std::vector<float>(p.m * p.n, kNaN));
    SgemmCall{.interface = interface,
              .op_a = p.op_a,
              .op_b = p.op_b,
              .m = static_cast<int>(p.m),
              .n = static_cast<int>(p.n),
              .k = static_cast<int>(p.k),
              .alpha = alpha_,
              .a = a.data(),
              .lda = leading_dimension(a.stride()),
              .b = b.data(),
              .ldb = leading_dimension(b.stride()),
              .beta = beta_,
              .c = c.data(),
              .ldc = leading_dimension(c.stride())}
        .run();
    const GemmOracle& oracle = rows ? by_rows_ : by_columns_;
    const std::size_t wrong = oracle.wrong_elements(c, p.k, fused_);
    if (wrong == 0 && c.guards_intact()) return;
    CAPTURE(static_cast<int>(interface), p.op_a.letter, p.op_b.letter, p.m, p.n, p.k, p.slack);
    CAPTURE(alpha_, beta_);
    FAIL(wrong << " wrong elements, guards " << (c.guards_intact() ? "intact" : "overwritten"));
  }

 private:
  float alpha_;
  float beta_;
  bool fused_ = active_backend().fused;
  GemmValues values_{kLargest, kLargest, kLargest};
  GemmOracle by_rows_;
  GemmOracle by_columns_;
};

template <class Body>
void for_each_size(const Body& body) {
  for (const std::size_t m : kSizes) {
    for (const std::size_t n : kSizes) {
      for (const std::size_t k : kSizes) body(m, n, k);
    }
  }
}

TEST_CASE("sgemm is right in all orders, transpositions, sizes and strides") {
  for (const float alpha : {0.0f, 1.0f, 0.7f, -1.5f}) {
    for (const float beta : {0.0f, 1.0f, 1.3f}) {
      const Sgemm sgemm(alpha, beta);
      for (const Interface interface : kInterfaces) {
        for (const Operation& op_a : kOperations) {
          for (const Operation& op_b : kOperations) {
            for_each_size([&](std::size_t m, std::size_t n, std::size_t k) {
              sgemm.check(interface, {m, n, k, (m + n + k) % 3, op_a, op_b});
            });
          }
        }
      }
    }
  }
  SUCCEED();
}

TEST_CASE("Fortran's letters may be small") {
  const Sgemm sgemm(0.7f, 1.3f);
  for (const Operation& op_a : kSmallLetters) {
    for (const Operation& op_b : kSmallLetters) {
      sgemm.check(Interface::fortran, {5, 9, 3, 1, op_a, op_b});
    }
  }
  SUCCEED();
}

// Without work nothing of C is touched, not even where beta is 0.
TEST_CASE("sgemm leaves an empty C and what it need not change") {
  for (const Interface interface : kInterfaces) {
    const float signalling = std::bit_cast<float>(std::uint32_t{0x7F800001});
    float c = signalling;
    SgemmCall call{.interface = interface, .m = 0, .c = &c};
    call.run();
    call.m = 1;
    call.n = 0;
    call.run();
    call.n = 1;
    call.k = 0;
    call.beta = 1;
    call.run();
    call.k = 1;
    call.alpha = 0;
    call.run();
    CHECK(same_bits(c, signalling));
  }
}

TEST_CASE("several threads may call sgemm, on large products too") {
  constexpr int kSize = 300;
  const std::vector<float> a = normal_floats(kSize * kSize, 1);
  const auto product = [&a] {
    std::vector<float> c(a.size());
    SgemmCall{.m = kSize,
              .n = kSize,
              .k = kSize,
              .a = a.data(),
              .lda = kSize,
              .b = a.data(),
              .ldb = kSize,
              .c = c.data(),
              .ldc = kSize}
        .run();
    return c;
  };
  const std::vector<float> expected = product();
  std::array<std::vector<float>, 4> found;
  std::vector<std::thread> threads;
  for (std::vector<float>& c : found) threads.emplace_back([&] { c = product(); });
  for (std::thread& thread : threads) thread.join();
  for (const std::vector<float>& c : found) CHECK(same_bits(c, expected));
}

TEST_CASE("matrices may span more floats than an int counts", "[optional]") {
  constexpr int kFar = 1 << 30;
  constexpr std::size_t kLast = std::size_t{2} * kFar;
  const FarFloats a(kLast + 1);
  const FarFloats c(kLast + 1);
  if (a.data() == nullptr || c.data() == nullptr) LOCKSTEP_SKIP("no addresses for 16 GiB");
  const float b = 10;
  for (std::size_t i = 0; i <= kLast; i += kFar) a.data()[i] = static_cast<float>(i / kFar + 1);
  SgemmCall{.interface = Interface::c_by_rows,
            .m = 3,
            .a = a.data(),
            .lda = kFar,
            .b = &b,
            .c = c.data(),
            .ldc = kFar}
      .run();
  CHECK(c.data()[0] == 10);
  CHECK(c.data()[kFar] == 20);
  CHECK(c.data()[kLast] == 30);
}

}  // namespace
}  // namespace lockstep
