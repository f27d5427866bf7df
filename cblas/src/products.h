// SGEMM and SGEMV in Fortran's terms: matrices in column order.
#pragma once

#include <algorithm>
#include <cstddef>

#include "errors.h"
#include "lockstep/gemm.h"

namespace lockstep::blas {

// C = alpha op(A) op(B) + beta C; op(A) is m x k, op(B) k x n, C m x n.
struct Sgemm {
  Transpose transpose_a;
  Transpose transpose_b;
  int m;
  int n;
  int k;
  float alpha;
  const float* a;
  int lda;
  const float* b;
  int ldb;
  float beta;
  float* c;
  int ldc;
};

// y = alpha op(A) x + beta y; A is m x n.
struct Sgemv {
  Transpose transpose;
  int m;
  int n;
  float alpha;
  const float* a;
  int lda;
  const float* x;
  int incx;
  float beta;
  float* y;
  int incy;
};

constexpr bool is_leading_dimension(int stride, int rows) { return stride >= std::max(1, rows); }

// The place of the first wrong argument in Fortran's list; 0: all are right.
constexpr int wrong_argument(const Sgemm& g) {
  if (g.m < 0) return 3;
  if (g.n < 0) return 4;
  if (g.k < 0) return 5;
  if (!is_leading_dimension(g.lda, g.transpose_a == Transpose::no ? g.m : g.k)) return 8;
  if (!is_leading_dimension(g.ldb, g.transpose_b == Transpose::no ? g.k : g.n)) return 10;
  return is_leading_dimension(g.ldc, g.m) ? 0 : 13;
}
constexpr int wrong_argument(const Sgemv& g) {
  if (g.m < 0) return 2;
  if (g.n < 0) return 3;
  if (!is_leading_dimension(g.lda, g.m)) return 6;
  if (g.incx == 0) return 8;
  return g.incy != 0 ? 0 : 11;
}

// The size or stride that an argument which is not wrong gives.
constexpr std::size_t size(int argument) { return static_cast<std::size_t>(argument); }

// A column here is a row of the kernels: A and B change places. Inline, as a small product waits
// for what goes by memory.
inline void multiply(const Sgemm& g) {
  if (g.beta == 1 && (g.alpha == 0 || g.k == 0)) return;
  gemm(g.transpose_b, g.transpose_a, size(g.n), size(g.m), size(g.k), g.alpha, g.b, size(g.ldb),
       g.a, size(g.lda), g.beta, g.c, size(g.ldc));
}

void multiply(const Sgemv& g);

// Computes what has no wrong argument. What fails in it ends the program: BLAS has no status.
template <class Product>
[[gnu::always_inline]] inline void compute(const char* routine, const Product& product) noexcept {
  try {
    multiply(product);
  } catch (...) {
    end_with_current_exception(routine);
  }
}

}  // namespace lockstep::blas
