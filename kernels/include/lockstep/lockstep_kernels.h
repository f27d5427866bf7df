/**
 * @file
 * The compute kernels for C (C99 and later) and for languages that call C; library
 * lockstep_kernels. `lockstep/lockstep.h` has the recurrent networks as well.
 *
 * What each kernel computes (special values, accuracy, which bits are equal where) is in the
 * C++ headers named below; this one says how it is called.
 *
 * Every function that can fail returns a status and throws nothing. After LOCKSTEP_OK the outputs
 * are written; after anything else `lockstep_last_error()` says in one sentence what was wrong.
 * Unless a function says otherwise, what its outputs then hold is undefined.
 *
 * Without memory a function returns LOCKSTEP_OUT_OF_MEMORY, leaks nothing and leaves handles as
 * they were. On several threads GNU's OpenMP may end the process then, for want of memory of its
 * own.
 *
 * Matrices are row-major; sizes and strides count floats. A pointer may be null where nothing is
 * read or written through it because a size is 0.
 *
 * Threads: every function may be called from any thread, and at the same time from several, as long
 * as no two write the same memory. Statuses and texts belong to the thread that called. Calls work
 * inside OpenMP regions of the caller too. After fork() see lockstep/threads.h.
 */
#ifndef LOCKSTEP_LOCKSTEP_KERNELS_H
#define LOCKSTEP_LOCKSTEP_KERNELS_H

#include <stddef.h>

#include "lockstep/export.h"
#include "lockstep/version.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What came of a call. */
typedef enum lockstep_status {
  LOCKSTEP_OK = 0,
  LOCKSTEP_INVALID_ARGUMENT = 1, /**< a null pointer, a stride, a label, a name, ... */
  LOCKSTEP_OUT_OF_MEMORY = 2,
  LOCKSTEP_FILE_ERROR = 3,     /**< cannot be read or written, or is not what it should be */
  LOCKSTEP_INTERNAL_ERROR = 4, /**< what a callback threw; anything else: a defect of Lockstep */
  LOCKSTEP_UNSUPPORTED = 5     /**< this build or this CPU cannot do it */
} lockstep_status;

/** A constant phrase for a status, such as "invalid argument". Never null. */
LOCKSTEP_API const char* lockstep_status_text(lockstep_status status);

/** The longest text of lockstep_last_error, its 0 included. */
enum { LOCKSTEP_ERROR_BYTES = 2048 };

/**
 * What was wrong with the last call of this thread that failed, in UTF-8; "" if none has. Valid
 * until the next failure of this thread. Never null. It takes no memory: a longer text is cut off.
 */
LOCKSTEP_API const char* lockstep_last_error(void);

/** Version of the library that runs, such as "0.1.0"; LOCKSTEP_VERSION is that of the header. */
LOCKSTEP_API const char* lockstep_version(void);

/** One way to run the kernels; lockstep/backend.h. */
typedef struct lockstep_backend {
  const char* name; /**< "highway/avx3", "xsimd/avx2", "reference", ... */
  int runnable;     /**< 1 if this CPU and operating system can run it, else 0 */
  int fused;        /**< 1 if it has fused multiply-add: same bits as every other such backend */
  size_t lanes;     /**< float32 per vector; 0 if not runnable */
} lockstep_backend;

/**
 * Every backend of this build, best first; `*list` has `*count` entries and lives as long as the
 * library.
 */
LOCKSTEP_API lockstep_status lockstep_backends(const lockstep_backend** list, size_t* count);

/**
 * Name of the backend that kernels called now run on. Fails, as every kernel does, if the
 * environment variable LOCKSTEP_BACKEND names one that cannot run here.
 */
LOCKSTEP_API lockstep_status lockstep_active_backend(const char** name);

/**
 * Forces a backend for all later calls in this process; null or "" returns to the default. The
 * error for an unknown name, and for one that this CPU cannot run, lists those that would do.
 */
LOCKSTEP_API lockstep_status lockstep_set_backend(const char* name);

/**
 * How many threads a call uses where its argument `threads` is 0: the physical cores this process
 * may run on, or what the container's CPU quota or OMP_NUM_THREADS allows; lockstep/threads.h has
 * the rule.
 */
LOCKSTEP_API lockstep_status lockstep_default_threads(int* count);

/**
 * What starts the threads: "OpenMP", or "std::thread" where the environment variable
 * LOCKSTEP_THREADING is "std" or the build is without OpenMP; lockstep/threads.h. Fails where the
 * variable names anything that the build has not.
 */
LOCKSTEP_API lockstep_status lockstep_threading(const char** name);

/** Argument values that say whether a matrix is transposed in memory. */
enum { LOCKSTEP_PLAIN = 0, LOCKSTEP_TRANSPOSED = 1 };

/**
 * C = alpha op(A) op(B) + beta C; lockstep/gemm.h. op(A) is m x k, op(B) k x n, C m x n; `lda`,
 * `ldb` and `ldc` floats from row to row in memory. C may overlap neither A nor B. `threads` from 0
 * (the default number; 1 inside an OpenMP region of the caller) to 1024.
 */
LOCKSTEP_API lockstep_status lockstep_gemm(int transpose_a, int transpose_b, size_t m, size_t n,
                                           size_t k, float alpha, const float* a, size_t lda,
                                           const float* b, size_t ldb, float beta, float* c,
                                           size_t ldc, int threads);

/**
 * C_i = alpha op(A_i) op(B_i) + beta C_i for i < count: many products of one shape, which threads
 * share; lockstep/gemm_batch.h. `a`, `b` and `c` are arrays of `count` pointers. Matrices A and B
 * may be shared; no C may overlap another, an A or a B. The error for a pointer that is null names
 * it; then nothing is written.
 */
LOCKSTEP_API lockstep_status lockstep_gemm_batch(int transpose_a, int transpose_b, size_t m,
                                                 size_t n, size_t k, float alpha,
                                                 const float* const* a, size_t lda,
                                                 const float* const* b, size_t ldb, float beta,
                                                 float* const* c, size_t ldc, size_t count,
                                                 int threads);

/**
 * The same for A_i at a + i stride_a, B_i and C_i in the same way. stride_a and stride_b may be 0:
 * one matrix for all products. C_i are one after another, stride_c >= (m - 1) ldc + n, or side by
 * side in the rows of one matrix, stride_c >= n and (count - 1) stride_c + n <= ldc.
 */
LOCKSTEP_API lockstep_status lockstep_gemm_batch_strided(
    int transpose_a, int transpose_b, size_t m, size_t n, size_t k, float alpha, const float* a,
    size_t lda, size_t stride_a, const float* b, size_t ldb, size_t stride_b, float beta, float* c,
    size_t ldc, size_t stride_c, size_t count, int threads);

/** A product of one shape for operands that change, which saves small products time. */
typedef struct lockstep_gemm_plan lockstep_gemm_plan;

/**
 * Plans a product with the parameters of lockstep_gemm. `*plan` belongs to the caller, who gives it
 * to lockstep_gemm_plan_free; it is null after a failure.
 */
LOCKSTEP_API lockstep_status lockstep_gemm_plan_create(int transpose_a, int transpose_b, size_t m,
                                                       size_t n, size_t k, float alpha, size_t lda,
                                                       size_t ldb, float beta, size_t ldc,
                                                       int threads, lockstep_gemm_plan** plan);

/** Runs a plan; several threads may run the same one at the same time. */
LOCKSTEP_API lockstep_status lockstep_gemm_plan_run(const lockstep_gemm_plan* plan, const float* a,
                                                    const float* b, float* c);

/** Runs a plan for `count` products, as lockstep_gemm_batch. */
LOCKSTEP_API lockstep_status lockstep_gemm_plan_run_batch(const lockstep_gemm_plan* plan,
                                                          size_t count, const float* const* a,
                                                          const float* const* b, float* const* c);

/** Runs a plan for `count` products, as lockstep_gemm_batch_strided. */
LOCKSTEP_API lockstep_status lockstep_gemm_plan_run_batch_strided(const lockstep_gemm_plan* plan,
                                                                  size_t count, const float* a,
                                                                  size_t stride_a, const float* b,
                                                                  size_t stride_b, float* c,
                                                                  size_t stride_c);

/** Frees a plan; null does nothing. */
LOCKSTEP_API void lockstep_gemm_plan_free(lockstep_gemm_plan* plan);

/** A right-hand side that is packed once and multiplied many times. */
typedef struct lockstep_packed_matrix lockstep_packed_matrix;

/**
 * Copies op(B), k x n, into the order in which the active backend reads it. `*packed` belongs to
 * the caller, who gives it to lockstep_packed_matrix_free; it is null after a failure.
 */
LOCKSTEP_API lockstep_status lockstep_pack(int transpose, size_t k, size_t n, const float* b,
                                           size_t ldb, lockstep_packed_matrix** packed);

/** Frees what lockstep_pack gave; null does nothing. */
LOCKSTEP_API void lockstep_packed_matrix_free(lockstep_packed_matrix* packed);

/** What lockstep_gemm_packed does with an element before it stores it. */
enum { LOCKSTEP_EPILOGUE_NONE = 0, LOCKSTEP_EPILOGUE_TANH = 1 };

/**
 * C = epilogue(start + A B) for a packed B, on the calling thread, without allocating;
 * lockstep/gemm.h. A is m x k. `start` is null for 0, a row of n if `start_stride` is 0, else m x
 * n; it may be `c`. Several threads may use one packed matrix at a time.
 */
LOCKSTEP_API lockstep_status lockstep_gemm_packed(size_t m, const float* a, size_t lda,
                                                  const lockstep_packed_matrix* b,
                                                  const float* start, size_t start_stride,
                                                  int epilogue, float* c, size_t ldc);

/** y[i] = f(x[i]) for i < n; y may be x. lockstep/elementwise.h */
LOCKSTEP_API lockstep_status lockstep_tanh(const float* x, float* y, size_t n);
LOCKSTEP_API lockstep_status lockstep_exp(const float* x, float* y, size_t n);     /**< as above */
LOCKSTEP_API lockstep_status lockstep_sigmoid(const float* x, float* y, size_t n); /**< as above */
LOCKSTEP_API lockstep_status lockstep_relu(const float* x, float* y, size_t n);    /**< as above */

/** Softmax of each row of x, [rows][cols]; y may be x with ldy = ldx. lockstep/softmax.h */
LOCKSTEP_API lockstep_status lockstep_softmax(size_t rows, size_t cols, const float* x, size_t ldx,
                                              float* y, size_t ldy);

/** The natural logarithm of that. */
LOCKSTEP_API lockstep_status lockstep_log_softmax(size_t rows, size_t cols, const float* x,
                                                  size_t ldx, float* y, size_t ldy);

/**
 * Cross-entropy of the softmax of each row and its gradient by the logits; lockstep/softmax.h.
 * `labels` is [rows], each in [0, cols); `gradient` is [rows][cols] and may be the logits with
 * ldg = ldx; `loss` is [rows]. `correct` gets the number of rows whose first largest logit is at
 * its label, and may be null.
 */
LOCKSTEP_API lockstep_status lockstep_softmax_cross_entropy(size_t rows, size_t cols,
                                                            const float* logits, size_t ldx,
                                                            const int* labels, float* gradient,
                                                            size_t ldg, double* loss,
                                                            size_t* correct);

/** The same for the mean over the rows: `*loss` is one number, the gradient is divided by rows. */
LOCKSTEP_API lockstep_status lockstep_mean_softmax_cross_entropy(size_t rows, size_t cols,
                                                                 const float* logits, size_t ldx,
                                                                 const int* labels, float* gradient,
                                                                 size_t ldg, double* loss,
                                                                 size_t* correct);

#ifdef __cplusplus
}
#endif

#endif
