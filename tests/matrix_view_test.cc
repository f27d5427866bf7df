#include "lockstep/matrix_view.h"

#include <stdexcept>

#include "backend_scope.h"
#include "catch.h"
#include "floats.h"
#include "lockstep/kernels.h"

namespace lockstep {
namespace {

constexpr std::size_t kM = 5, kN = 11, kK = 7;

struct Matrices {
  std::vector<float> a = normal_floats(kM * (kK + 2), 1);
  std::vector<float> b = normal_floats(kN * (kK + 3), 2);  // the transpose in memory
  std::vector<float> c = normal_floats(kM * (kN + 1), 3);

  [[nodiscard]] ConstMatrixView view_a() const { return {a.data(), kM, kK, kK + 2}; }
  [[nodiscard]] ConstMatrixView view_b() const {
    return ConstMatrixView(b.data(), kN, kK, kK + 3).transposed();
  }
  [[nodiscard]] MatrixView view_c() { return {c.data(), kM, kN, kN + 1}; }
};

std::vector<float> blas_form(Matrices m, float alpha, float beta) {
  gemm(Transpose::no, Transpose::yes, kM, kN, kK, alpha, m.a.data(), kK + 2, m.b.data(), kK + 3,
       beta, m.c.data(), kN + 1);
  return m.c;
}

TEST_CASE("a product of views is that of their matrices") {
  for (const std::string& name : runnable_backends()) {
    CAPTURE(name);
    const BackendScope scope(name);
    const std::vector<float> expected = blas_form({}, 0.75f, -1.5f);
    Matrices m;
    const GemmOptions options{.alpha = 0.75f, .beta = -1.5f, .threads = 1};
    gemm(m.view_a(), m.view_b(), m.view_c(), options);
    CHECK(same_bits(m.c, expected));
    Matrices planned;
    GemmPlan(planned.view_a(), planned.view_b(), planned.view_c(), options)
        .run(planned.a.data(), planned.b.data(), planned.c.data());
    CHECK(same_bits(planned.c, expected));
  }
}

TEST_CASE("a packed view is multiplied as the matrix") {
  Matrices m;
  const PackedMatrix packed(m.view_b());
  CHECK(packed.k() == kK);
  CHECK(packed.n() == kN);
  gemm_packed({.m = kM, .a = m.a.data(), .lda = kK + 2, .c = m.c.data(), .ldc = kN + 1}, packed);
  CHECK(same_bits(m.c, blas_form({}, 1, 0)));
}

TEST_CASE("the transpose of a transpose is the matrix, and a shape needs no data") {
  const ConstMatrixView a(nullptr, 2, 3, 4);
  const ConstMatrixView t = a.transposed();
  CHECK(t.rows == 3);
  CHECK(t.cols == 2);
  CHECK(t.stride == 4);
  CHECK(t.transpose == Transpose::yes);
  CHECK(t.transposed().transpose == Transpose::no);
  CHECK(MatrixView(nullptr, 2, 3).stride == 3);
}

TEST_CASE("views that do not fit are refused") {
  Matrices m;
  const auto check = [&](const ConstMatrixView& a, const ConstMatrixView& b, const MatrixView& c) {
    CHECK_THROWS_AS(gemm(a, b, c), InvalidArgument);
    CHECK_THROWS_AS(GemmPlan(a, b, c), std::invalid_argument);
  };
  check(m.view_a(), m.view_a(), m.view_c());
  check(m.view_b(), m.view_b(), m.view_c());
  check(m.view_a(), m.view_b(), m.view_c().transposed());
  check(m.view_a(), m.view_b(), MatrixView(m.c.data(), kM, kN, kN - 1));
}

}  // namespace
}  // namespace lockstep
