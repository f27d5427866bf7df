/* In place of the BLAS that a system has: it says that it is called, and has handlers. */
#include <stdio.h>

#include "cblas.h"

void xerbla_(const char* routine, const int* position) {
  printf("other xerbla_: %.6s %d\n", routine, *position);
}

void cblas_xerbla(int position, const char* routine, const char* form, ...) {
  (void)form;
  printf("other cblas_xerbla: %s %d\n", routine, position);
}

void cblas_sgemm(CBLAS_LAYOUT layout, CBLAS_TRANSPOSE trans_a, CBLAS_TRANSPOSE trans_b, int m,
                 int n, int k, float alpha, const float* a, int lda, const float* b, int ldb,
                 float beta, float* c, int ldc) {
  (void)layout, (void)trans_a, (void)trans_b, (void)m, (void)n, (void)k, (void)alpha, (void)a;
  (void)lda, (void)b, (void)ldb, (void)beta, (void)c, (void)ldc;
  puts("other cblas_sgemm");
}

void sgemm_(void) { puts("other sgemm_"); }

void sscal_(void) {
  const int position = 1;
  xerbla_("SSCAL ", &position);
}
