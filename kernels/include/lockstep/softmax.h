#pragma once

#include <cstddef>

#include "lockstep/export.h"

namespace lockstep {

/// Largest distance of the sum of a softmax row from 1: the rounding errors of the 16 partial sums,
/// which on average cancel, and a few more. (Found on normally distributed rows of up to 1000
/// columns: below 3e-7.)
constexpr double softmax_sum_error(std::size_t cols) {
  return (static_cast<double>(cols) / 16 + 8) * 0x1p-24;
}

/// y[i][j] = exp(x[i][j] - max_i) / sum_j exp(x[i][j] - max_i) for `rows` rows of `cols` columns.
///
/// Row-major with `ldx` and `ldy` floats from row to row; y may be x with ldy = ldx, else they must
/// not overlap. Any alignment. The sum of a row is within 1 +- softmax_sum_error(cols). A row
/// depends on its values only, never on its position or the other rows, and not on a constant added
/// to all of it as long as those additions are exact; nor do -inf entries at the end of a row
/// change the others. Special rows: -inf entries give 0; a row that holds NaN or +inf, or nothing
/// but -inf, is NaN throughout; a single finite entry gives 1. No rows or no columns: nothing
/// happens. Same bits on every backend with fused multiply-add. Thread-safe, no allocation. Throws
/// std::invalid_argument if a row stride is shorter than a row or a matrix that is not empty is
/// null.
LOCKSTEP_API void softmax(std::size_t rows, std::size_t cols, const float* x, std::size_t ldx,
                          float* y, std::size_t ldy);

/// y[i][j] = x[i][j] - max_i - log(sum_j exp(x[i][j] - max_i)), the natural logarithm of softmax.
///
/// Conditions as for softmax. Errors are those of two subtractions and
/// log_softmax_error. -inf entries give -inf; a row that holds NaN or +inf, or nothing but
/// -inf, is NaN throughout.
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
/// `gradient` may be the logits themselves with ldg = ldx, else they must not overlap. The gradient
/// is that of the sum of the losses. `loss` is [rows], in double; the sum in it is the softmax's
/// own in float32, so a loss below about 1e-7 may be given as 0. Rows with NaN, +inf or nothing but
/// -inf give NaN. Returns the number of rows whose first largest logit stands at its label. Same
/// bits on every backend with fused multiply-add. Thread-safe, no allocation. Throws
/// std::invalid_argument for a label outside [0, cols), a short row stride and a null array that is
/// not empty.
LOCKSTEP_API std::size_t softmax_cross_entropy(std::size_t rows, std::size_t cols,
                                               const float* logits, std::size_t ldx,
                                               const int* labels, float* gradient, std::size_t ldg,
                                               double* loss);

/// What mean_softmax_cross_entropy gives.
struct CrossEntropy {
  double loss = 0;          ///< mean over the rows, added in their order
  std::size_t correct = 0;  ///< rows whose first largest logit stands at their label
};

/// The same for the mean of the losses: gradient[i][j] = (softmax(x)[i][j] - (j == label_i)) /
/// rows, where 1 / rows is rounded once and divided by the row's sum. No rows: all zero.
LOCKSTEP_API CrossEntropy mean_softmax_cross_entropy(std::size_t rows, std::size_t cols,
                                                     const float* logits, std::size_t ldx,
                                                     const int* labels, float* gradient,
                                                     std::size_t ldg);

}  // namespace lockstep
