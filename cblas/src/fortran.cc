// BLAS as Fortran calls it. The lengths of strings, which its compilers pass behind the arguments,
// are not read.
#include <optional>

#include "errors.h"
#include "lockstep/export.h"
#include "products.h"

namespace lockstep::blas {
namespace {

std::optional<Transpose> transpose_of(char letter) {
  switch (letter) {
    case 'N':
    case 'n':
      return Transpose::no;
    case 'T':
    case 't':
    case 'C':
    case 'c':
      return Transpose::yes;
    default:
      return std::nullopt;
  }
}

template <class Product>
void compute_checked(const char* routine, const Product& product) {
  const int wrong = wrong_argument(product);
  if (wrong != 0) return report_to_fortran(routine, wrong);
  compute(routine, product);
}

}  // namespace
}  // namespace lockstep::blas

using namespace lockstep::blas;

extern "C" {

LOCKSTEP_API void sgemm_(const char* trans_a, const char* trans_b, const int* m, const int* n,
                         const int* k, const float* alpha, const float* a, const int* lda,
                         const float* b, const int* ldb, const float* beta, float* c,
                         const int* ldc) {
  constexpr const char* kRoutine = "SGEMM";
  const auto a_is = transpose_of(*trans_a);
  if (!a_is) return report_to_fortran(kRoutine, 1);
  const auto b_is = transpose_of(*trans_b);
  if (!b_is) return report_to_fortran(kRoutine, 2);
  compute_checked(kRoutine,
                  Sgemm{*a_is, *b_is, *m, *n, *k, *alpha, a, *lda, b, *ldb, *beta, c, *ldc});
}

LOCKSTEP_API void sgemv_(const char* trans, const int* m, const int* n, const float* alpha,
                         const float* a, const int* lda, const float* x, const int* incx,
                         const float* beta, float* y, const int* incy) {
  constexpr const char* kRoutine = "SGEMV";
  const auto a_is = transpose_of(*trans);
  if (!a_is) return report_to_fortran(kRoutine, 1);
  compute_checked(kRoutine, Sgemv{*a_is, *m, *n, *alpha, a, *lda, x, *incx, *beta, y, *incy});
}
}
