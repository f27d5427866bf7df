// BLAS as C calls it. A matrix in row order is the transpose of one in column order, so that row
// order changes A and B, and with them m and n.
#include <optional>

#include "errors.h"
#include "lockstep-cblas/cblas.h"
#include "lockstep/export.h"
#include "products.h"

namespace lockstep::blas {
namespace {

std::optional<Transpose> transpose_of(CBLAS_TRANSPOSE value) {
  switch (value) {
    case CblasNoTrans:
      return Transpose::no;
    case CblasTrans:
    case CblasConjTrans:
      return Transpose::yes;
  }
  return std::nullopt;
}

Transpose transposed(Transpose t) { return t == Transpose::no ? Transpose::yes : Transpose::no; }

bool is_layout(CBLAS_LAYOUT value) { return value == CblasRowMajor || value == CblasColMajor; }

void report_layout(const char* routine, CBLAS_LAYOUT value) {
  report_to_c(routine, 1, "Illegal layout setting, %d\n", value);
}
void report_transpose(const char* routine, int position, CBLAS_TRANSPOSE value) {
  report_to_c(routine, position, "Illegal transposition setting, %d\n", value);
}

// Positions in Fortran's list whose arguments row order exchanges.
constexpr int exchanged(const Sgemm&, int position) {
  switch (position) {
    case 3:
    case 4:
      return 3 + 4 - position;
    case 8:
    case 10:
      return 8 + 10 - position;
    default:
      return position;
  }
}
constexpr int exchanged(const Sgemv&, int position) {
  return position == 2 || position == 3 ? 2 + 3 - position : position;
}

// C's list has the layout before Fortran's.
template <class Product>
void compute_checked(const char* routine, CBLAS_LAYOUT layout, const Product& product) {
  const int wrong = wrong_argument(product);
  if (wrong == 0) return compute(routine, product);
  const bool exchanges = layout == CblasRowMajor && !takes_positions_in_column_order();
  report_to_c(routine, 1 + (exchanges ? exchanged(product, wrong) : wrong), "", 0);
}

}  // namespace
}  // namespace lockstep::blas

using namespace lockstep::blas;

extern "C" {

LOCKSTEP_API void cblas_sgemm(CBLAS_LAYOUT layout, CBLAS_TRANSPOSE trans_a, CBLAS_TRANSPOSE trans_b,
                              int m, int n, int k, float alpha, const float* a, int lda,
                              const float* b, int ldb, float beta, float* c, int ldc) {
  constexpr const char* kRoutine = "cblas_sgemm";
  if (!is_layout(layout)) return report_layout(kRoutine, layout);
  const auto a_is = transpose_of(trans_a);
  if (!a_is) return report_transpose(kRoutine, 2, trans_a);
  const auto b_is = transpose_of(trans_b);
  if (!b_is) return report_transpose(kRoutine, 3, trans_b);
  compute_checked(kRoutine, layout,
                  layout == CblasRowMajor
                      ? Sgemm{*b_is, *a_is, n, m, k, alpha, b, ldb, a, lda, beta, c, ldc}
                      : Sgemm{*a_is, *b_is, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc});
}

LOCKSTEP_API void cblas_sgemv(CBLAS_LAYOUT layout, CBLAS_TRANSPOSE trans, int m, int n, float alpha,
                              const float* a, int lda, const float* x, int incx, float beta,
                              float* y, int incy) {
  constexpr const char* kRoutine = "cblas_sgemv";
  if (!is_layout(layout)) return report_layout(kRoutine, layout);
  const auto a_is = transpose_of(trans);
  if (!a_is) return report_transpose(kRoutine, 2, trans);
  compute_checked(kRoutine, layout,
                  layout == CblasRowMajor
                      ? Sgemv{transposed(*a_is), n, m, alpha, a, lda, x, incx, beta, y, incy}
                      : Sgemv{*a_is, m, n, alpha, a, lda, x, incx, beta, y, incy});
}
}
