#pragma once

#include <cstddef>

namespace lockstep {

/// Largest distance of the sum of a softmax row from 1: one rounding for each element of a partial
/// sum, of which there are 16, and a few more. (On random rows of 1000 columns it is below 1e-6.)
constexpr double softmax_sum_error(std::size_t cols) {
  return (static_cast<double>(cols) / 16 + 8) * 0x1p-24;
}

/// y[i][j] = exp(x[i][j] - max_i) / sum_j exp(x[i][j] - max_i) for `rows` rows of `cols` columns.
///
/// Row-major with `ldx` and `ldy` floats from row to row; y may be x with ldy = ldx, else they must
/// not overlap. The sum of a row is within 1 +- softmax_sum_error(cols). Special rows: -inf entries
/// give 0; a row that holds NaN or +inf, or nothing but -inf, is NaN throughout. No rows or no
/// columns: nothing happens. Same bits on every backend with fused multiply-add. Thread-safe, no
/// allocation. Throws std::invalid_argument if a row stride is shorter than a row.
void softmax(std::size_t rows, std::size_t cols, const float* x, std::size_t ldx, float* y,
             std::size_t ldy);

/// Softmax, cross-entropy and the gradient of the logits in one pass.
///
///     loss[i]        = log(sum_j exp(x[i][j])) - x[i][label_i]       (natural logarithm)
///     gradient[i][j] = softmax(x)[i][j] - (j == label_i)
///
/// `gradient` may be the logits themselves. The gradient is that of the sum of the losses, not of
/// their mean. `loss` is [rows], in double; the sum in it is the softmax's
/// own in float32, so a loss below about 1e-7 may be given as 0. Rows with NaN, +inf or nothing but
/// -inf give NaN. Returns the number of rows whose first largest logit stands at its label. Throws
/// std::invalid_argument for a label outside [0, cols) or a short row stride.
std::size_t softmax_cross_entropy(std::size_t rows, std::size_t cols, const float* logits,
                                  std::size_t ldx, const int* labels, float* gradient,
                                  std::size_t ldg, double* loss);

}  // namespace lockstep
