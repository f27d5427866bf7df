/*
 * A program that speaks BLAS. Its argument says what it does: `product`; `c` or `fortran`, a call
 * with a wrong argument; `other`, a wrong argument of a function that Lockstep has not. With
 * HANDLERS it has handlers of its own. With LOADS it loads the library of its third argument
 * before, `global` or `local` as the second says.
 */
#include <cblas.h>
#ifdef LOADS
#include <dlfcn.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif
void sgemm_(const char* trans_a, const char* trans_b, const int* m, const int* n, const int* k,
            const float* alpha, const float* a, const int* lda, const float* b, const int* ldb,
            const float* beta, float* c, const int* ldc);
#ifdef OTHER_BLAS
void sscal_(const int* n, const float* alpha, float* x, const int* incx);
#endif

#ifdef HANDLERS
void xerbla_(const char* routine, const int* position, size_t length) {
  printf("own xerbla_: %.*s %d\n", (int)length, routine, *position);
}
void cblas_xerbla(int position, const char* routine, const char* form, ...) {
  (void)form;
  printf("own cblas_xerbla: %s %d\n", routine, position);
}
#endif
#ifdef __cplusplus
}
#endif

static const float a[6] = {1, 2, 3, 4, 5, 6};
static const float b[6] = {1, 0, 0, 1, 1, 1};
static float c[4];

static void print_product(void) { printf("%g %g %g %g\n", c[0], c[1], c[2], c[3]); }

static void multiply_in_c(int lda) {
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, 2, 2, 3, 1, a, lda, b, 2, 0, c, 2);
}

/* C^T = B^T A^T, by columns. */
static void multiply_in_fortran(int lda) {
  const int two = 2, three = 3;
  const float one = 1, zero = 0;
  sgemm_("N", "N", &two, &two, &three, &one, b, &two, a, &lda, &zero, c, &two);
}

int main(int argc, char** argv) {
  const char* what = argc >= 2 ? argv[1] : "";
#ifdef LOADS
  if (argc != 4) return 2;
  if (!dlopen(argv[3], RTLD_NOW | (strcmp(argv[2], "global") == 0 ? RTLD_GLOBAL : RTLD_LOCAL))) {
    fprintf(stderr, "%s\n", dlerror());
    return 2;
  }
#endif
  if (strcmp(what, "product") == 0) {
    multiply_in_c(3);
    print_product();
    memset(c, 0, sizeof c);
    multiply_in_fortran(3);
    print_product();
  } else if (strcmp(what, "c") == 0) {
    multiply_in_c(2);
  } else if (strcmp(what, "fortran") == 0) {
    multiply_in_fortran(2);
#ifdef OTHER_BLAS
  } else if (strcmp(what, "other") == 0) {
    const int wrong = 0;
    sscal_(&wrong, a, c, &wrong);
#endif
  } else {
    return 2;
  }
#ifdef LOADS
  /* Nothing of what was looked for in vain is left for the program. */
  if (dlerror()) return 1;
#endif
  printf("end\n");
  return 0;
}
