/// @file
/// Many products of one shape in one call.
#pragma once

#include <cstddef>

#include "lockstep/export.h"
#include "lockstep/matrix_view.h"

namespace lockstep {

/// C_i = alpha * op(A_i) * op(B_i) + beta * C_i for i = 0 .. count-1, as `gemm` (lockstep/gemm.h)
/// of each, planned once. Whoever has the same shape again keeps a GemmPlan and calls its
/// run_batch.
///
/// Shapes: those of gemm, the same for all products. `a`, `b` and `c` are arrays of `count`
/// pointers to the first elements; lda, ldb and ldc count floats from row to row.
///
/// Aliasing: A_i and B_i may be the same for any number of products. No C may overlap another C, an
/// A or a B.
///
/// Bits, special values, accuracy: those of gemm for each product, whatever `count` and `threads`.
///
/// Threads: `threads` as for resolve_threads, but no more than pay. They share the products; where
/// one product pays for more threads than there are products, or than are left for a last round,
/// they share each of these in turn. A transposed B, or one times alpha, is packed by each thread,
/// once for all of its products in a row that have it (the same pointer); for each where threads
/// share one product, or where A is large and transposed. A PackedMatrix is packed once for many
/// calls. Thread-safe.
///
/// Errors: InvalidArgument as gemm, and for a null array or a null pointer in it, which is named,
/// unless its matrices are not read; nothing is written then. std::bad_alloc as gemm. No error for
/// `count` = 0, whatever the pointers are, if the strides of a product would do.
LOCKSTEP_API void gemm_batch(Transpose transpose_a, Transpose transpose_b, std::size_t m,
                             std::size_t n, std::size_t k, float alpha, const float* const* a,
                             std::size_t lda, const float* const* b, std::size_t ldb, float beta,
                             float* const* c, std::size_t ldc, std::size_t count, int threads = 0);

/// The same for matrices at equal distances: A_i begins at a + i * stride_a, B_i and C_i in the
/// same way.
///
/// Shapes: strides count floats from product to product. stride_a and stride_b may be anything: 0
/// is one matrix for all products, less than a matrix are parts of one, such as windows of a
/// series. C_i are one after another, stride_c >= (m - 1) * ldc + n, or side by side as blocks of
/// columns of one matrix, stride_c >= n and (count - 1) * stride_c + n <= ldc.
///
/// Errors: InvalidArgument for another stride_c too, if there are two products or more.
LOCKSTEP_API void gemm_batch_strided(Transpose transpose_a, Transpose transpose_b, std::size_t m,
                                     std::size_t n, std::size_t k, float alpha, const float* a,
                                     std::size_t lda, std::size_t stride_a, const float* b,
                                     std::size_t ldb, std::size_t stride_b, float beta, float* c,
                                     std::size_t ldc, std::size_t stride_c, std::size_t count,
                                     int threads = 0);

}  // namespace lockstep
