#pragma once

#include <cstddef>

#include "lockstep/export.h"

namespace lockstep {

/// Largest distance of the sum of a softmax row from 1: the rounding errors of the 16 partial sums,
/// which on average cancel, and a few more.
constexpr double softmax_sum_error(std::size_t cols) {
  return (static_cast<double>(cols) / 16 + 8) * 0x1p-24;
}

/// y[i][j] = exp(x[i][j] - max_i) / sum_j exp(x[i][j] - max_i) for `rows` rows of `cols` columns.
///
/// Shapes: row-major with `ldx` and `ldy` floats from row to row. Any alignment. No rows or no
/// columns: nothing happens.
///
/// Aliasing: y may be x with ldy = ldx, otherwise they must not overlap.
///
/// Special values: -inf entries give 0; a row that holds NaN or +inf, or nothing but -inf, is NaN
/// throughout; a single finite entry gives 1.
///
/// Accuracy: the sum of a row is within 1 +- softmax_sum_error(cols).
///
/// Bits: a row depends on its values only, never on its position or the other rows, and not on a
/// constant added to all of it as long as those additions are exact; nor do -inf entries at the end
/// of a row change the others. The same on every backend with fused multiply-add.
///
/// Threads: runs on the calling thread; thread-safe, no allocation.
///
/// Errors: InvalidArgument if a row stride is shorter than a row or a matrix that is not empty is
/// null.
LOCKSTEP_API void softmax(std::size_t rows, std::size_t cols, const float* x, std::size_t ldx,
                          float* y, std::size_t ldy);

/// y[i][j] = x[i][j] - max_i - log(sum_j exp(x[i][j] - max_i)), the natural logarithm of softmax;
/// conditions as for softmax.
///
/// Special values: -inf entries give -inf; a row that holds NaN or +inf, or nothing but -inf, is
/// NaN throughout.
///
/// Accuracy: the errors of two subtractions, and log_softmax_error.
LOCKSTEP_API void log_softmax(std::size_t rows, std::size_t cols, const float* x, std::size_t ldx,
                              float* y, std::size_t ldy);

/// What the errors of the sum and of its logarithm add to every result of log_softmax: two
/// roundings of that logarithm, and the relative error of the sum.
constexpr double log_softmax_error(std::size_t cols, double log_sum) {
  return 0x1p-24 * log_sum + softmax_sum_error(cols);
}

/// Softmax, cross-entropy and the gradient of the logits in one pass.
///
///     loss[i]        = log(sum_j exp(x[i][j])) - x[i][label_i]       (natural logarithm)
///     gradient[i][j] = softmax(x)[i][j] - (j == label_i)
///
/// Returns the number of rows whose first largest logit is at its label. The gradient is that of
/// the sum of the losses.
///
/// Shapes: `labels` and `loss` are [rows], the gradient as the logits.
///
/// Aliasing: `gradient` may be the logits themselves with ldg = ldx, otherwise they must not
/// overlap.
///
/// Special values: rows with NaN, +inf or nothing but -inf give NaN.
///
/// Accuracy: `loss` is in double; the sum in it is the softmax's own in float32, so a loss below
/// about 1e-7 may be given as 0.
///
/// Bits: the same on every backend with fused multiply-add.
///
/// Threads: runs on the calling thread; thread-safe, no allocation.
///
/// Errors: InvalidArgument for a label outside [0, cols), a short row stride and a null array that
/// is not empty.
LOCKSTEP_API std::size_t softmax_cross_entropy(std::size_t rows, std::size_t cols,
                                               const float* logits, std::size_t ldx,
                                               const int* labels, float* gradient, std::size_t ldg,
                                               double* loss);

/// What mean_softmax_cross_entropy gives.
struct CrossEntropy {
  double loss = 0;          ///< mean over the rows, added in their order
  std::size_t correct = 0;  ///< rows whose first largest logit is at their label
};

/// The same for the mean of the losses: gradient[i][j] = (softmax(x)[i][j] - (j == label_i)) /
/// rows, where 1 / rows is rounded once and divided by the row's sum. No rows: all zero.
LOCKSTEP_API CrossEntropy mean_softmax_cross_entropy(std::size_t rows, std::size_t cols,
                                                     const float* logits, std::size_t ldx,
                                                     const int* labels, float* gradient,
                                                     std::size_t ldg);

}  // namespace lockstep
