#include "lockstep/softmax.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "dispatch.h"
#include "lockstep/detail/require.h"
#include "lockstep/portable_math.h"
#include "tuning.h"

namespace lockstep {
namespace {

// Checks the matrices of a function, which is named in the exception, and describes them.
SoftmaxRows checked_rows(const char* function, std::size_t rows, std::size_t cols, const float* x,
                         std::size_t ldx, float* y, std::size_t ldy) {
  require(ldx >= cols && ldy >= cols, function, "a row stride is shorter than a row");
  require((x != nullptr && y != nullptr) || rows == 0 || cols == 0, function, "a matrix is null");
  return {rows, cols, x, static_cast<std::ptrdiff_t>(ldx), y, static_cast<std::ptrdiff_t>(ldy)};
}

void require_labels(const char* function, std::size_t rows, std::size_t cols, const int* labels) {
  require(labels != nullptr || rows == 0, function, "labels is null");
  for (std::size_t i = 0; i < rows; ++i) {
    if (labels[i] >= 0 && static_cast<std::size_t>(labels[i]) < cols) continue;
    throw InvalidArgument(std::string(function) + ": label " + std::to_string(labels[i]) +
                          " of row " + std::to_string(i) + " is not in [0, " +
                          std::to_string(cols) + ")");
  }
}

// Whether x[label] is the first of the largest elements; a row with NaN has none, whatever this
// says.
bool is_first_largest(const float* x, std::size_t cols, std::size_t label) {
  const float value = x[label];
  bool beaten = false;
  for (std::size_t j = 0; j < label; ++j) beaten |= x[j] >= value;
  for (std::size_t j = label + 1; j < cols; ++j) beaten |= x[j] > value;
  return !beaten;
}

// Cross-entropy of the rows from `first` on, kCrossEntropyRows at most. What is needed of the
// logits is read before the gradient may overwrite them.
std::size_t cross_entropy_of_group(const Backend& backend, SoftmaxRows s, std::size_t first,
                                   const int* labels, double* loss) {
  float max[kCrossEntropyRows];
  float sum[kCrossEntropyRows];
  bool hit[kCrossEntropyRows];
  s.rows = std::min(s.rows - first, kCrossEntropyRows);
  s.x += static_cast<std::ptrdiff_t>(first) * s.x_row_stride;
  s.y += static_cast<std::ptrdiff_t>(first) * s.y_row_stride;
  s.max = max;
  s.sum = sum;
  labels += first;
  for (std::size_t i = 0; i < s.rows; ++i) {
    const float* x = s.x + static_cast<std::ptrdiff_t>(i) * s.x_row_stride;
    const auto label = static_cast<std::size_t>(labels[i]);
    loss[i] = static_cast<double>(x[label]);
    hit[i] = is_first_largest(x, s.cols, label);
  }
  backend.softmax(s);
  std::size_t correct = 0;
  for (std::size_t i = 0; i < s.rows; ++i) {
    loss[i] = portable_log(static_cast<double>(sum[i])) + (static_cast<double>(max[i]) - loss[i]);
    s.y[static_cast<std::ptrdiff_t>(i) * s.y_row_stride + labels[i]] -= s.scale;
    correct += hit[i] && !std::isnan(loss[i]) ? 1 : 0;
  }
  return correct;
}

}  // namespace

void softmax(std::size_t rows, std::size_t cols, const float* x, std::size_t ldx, float* y,
             std::size_t ldy) {
  const SoftmaxRows all = checked_rows("softmax", rows, cols, x, ldx, y, ldy);
  const Backend& backend = dispatch();
  if (rows == 0 || cols == 0) return;
  backend.softmax(all);
}

void log_softmax(std::size_t rows, std::size_t cols, const float* x, std::size_t ldx, float* y,
                 std::size_t ldy) {
  const SoftmaxRows all = checked_rows("log_softmax", rows, cols, x, ldx, y, ldy);
  const Backend& backend = dispatch();
  if (rows == 0 || cols == 0) return;
  backend.log_softmax(all);
}

std::size_t softmax_cross_entropy(std::size_t rows, std::size_t cols, const float* logits,
                                  std::size_t ldx, const int* labels, float* gradient,
                                  std::size_t ldg, double* loss) {
  const SoftmaxRows all =
      checked_rows("softmax_cross_entropy", rows, cols, logits, ldx, gradient, ldg);
  require_labels("softmax_cross_entropy", rows, cols, labels);
  require(loss != nullptr || rows == 0, "softmax_cross_entropy", "loss is null");
  const Backend& backend = dispatch();
  std::size_t correct = 0;
  for (std::size_t i = 0; i < rows; i += kCrossEntropyRows) {
    correct += cross_entropy_of_group(backend, all, i, labels, loss + i);
  }
  return correct;
}

CrossEntropy mean_softmax_cross_entropy(std::size_t rows, std::size_t cols, const float* logits,
                                        std::size_t ldx, const int* labels, float* gradient,
                                        std::size_t ldg) {
  SoftmaxRows all =
      checked_rows("mean_softmax_cross_entropy", rows, cols, logits, ldx, gradient, ldg);
  require_labels("mean_softmax_cross_entropy", rows, cols, labels);
  const Backend& backend = dispatch();
  if (rows == 0) return {};
  all.scale = 1.0f / static_cast<float>(rows);
  CrossEntropy result;
  for (std::size_t i = 0; i < rows; i += kCrossEntropyRows) {
    double loss[kCrossEntropyRows];
    result.correct += cross_entropy_of_group(backend, all, i, labels, loss);
    for (std::size_t n = 0; n < kCrossEntropyRows && i + n < rows; ++n) result.loss += loss[n];
  }
  result.loss /= static_cast<double>(rows);
  return result;
}

}  // namespace lockstep
