/**
 * @file
 * The C interface of BLAS, as much of it as Lockstep has; library lockstep_cblas. A program that
 * speaks BLAS compiles with this `cblas.h` or with any other. The library has `sgemm_` and
 * `sgemv_`, as Fortran calls them, as well: with the arguments of the functions here, but for the
 * layout, all of them by address, and letters ('N', 'T' or 'C', small ones too) for `trans`.
 *
 * Integers have 32 bits. A leading dimension counts floats from row to row (CblasRowMajor) or from
 * column to column (CblasColMajor, Fortran) of a matrix in memory. The transpose is the conjugate
 * transpose, as numbers are real.
 *
 * Bits: each element is one chain of fused multiply-adds, as lockstep/gemm.h defines it, with the
 * same bits for every number of threads and on every backend that fuses. `alpha` is multiplied
 * onto B in row order, onto A in column order and onto the vector x; the product is rounded.
 *
 * Special values: beta = 0 never reads C or y, so that NaN there does not survive; alpha = 0 or an
 * empty sum reads neither A nor B nor x. Where C or y or, in sgemv, x is empty, nothing happens.
 *
 * Threads: thread-safe. As many as lockstep/threads.h says of the default; one inside an OpenMP
 * region of the caller.
 *
 * Errors: a wrong argument goes to `cblas_xerbla`, in Fortran's functions to `xerbla_`,
 * after which nothing is written. Where no memory is left, or LOCKSTEP_BACKEND,
 * LOCKSTEP_THREADING or LOCKSTEP_CACHES has what it may not be, the program ends with a line on
 * stderr and status 1.
 */
#ifndef CBLAS_H
#define CBLAS_H

#ifdef __cplusplus
extern "C" {
#endif

/** In which order a matrix is in memory. */
typedef enum CBLAS_LAYOUT {
  CblasRowMajor = 101, /**< row after row */
  CblasColMajor = 102  /**< column after column */
} CBLAS_LAYOUT;
/** The older name. */
#define CBLAS_ORDER CBLAS_LAYOUT

/** What is multiplied: a matrix or its transpose. */
typedef enum CBLAS_TRANSPOSE {
  CblasNoTrans = 111,  /**< the matrix */
  CblasTrans = 112,    /**< its transpose */
  CblasConjTrans = 113 /**< the same */
} CBLAS_TRANSPOSE;

/**
 * C = alpha op(A) op(B) + beta C: op(A) is m x k, op(B) k x n, C m x n. C may overlap neither A
 * nor B.
 */
void cblas_sgemm(CBLAS_LAYOUT layout, CBLAS_TRANSPOSE trans_a, CBLAS_TRANSPOSE trans_b, int m,
                 int n, int k, float alpha, const float* a, int lda, const float* b, int ldb,
                 float beta, float* c, int ldc);

/**
 * y = alpha op(A) x + beta y: A is m x n. Elements of x and y are `incx` and `incy` floats apart;
 * where these are negative, the first element is the last in memory. y may overlap neither A nor x.
 */
void cblas_sgemv(CBLAS_LAYOUT layout, CBLAS_TRANSPOSE trans, int m, int n, float alpha,
                 const float* a, int lda, const float* x, int incx, float beta, float* y, int incy);

/**
 * What wrong arguments are reported to, for the program to define, as it may define Fortran's
 * `xerbla_`; the library only calls them. Where neither the program nor another BLAS in it has
 * them at load, a line goes to stderr and the result stays as it was.
 *
 * @param position  of the argument among those of `routine`, from 1
 * @param routine   such as "cblas_sgemm"
 * @param form      as of printf, with the arguments behind it: more about it, or ""
 */
void cblas_xerbla(int position, const char* routine, const char* form, ...);

#ifdef __cplusplus
}
#endif

#endif
