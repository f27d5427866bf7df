#include "lockstep/softmax.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "argument_check.h"
#include "dispatch.h"
#include "lockstep/portable_math.h"

namespace lockstep {
namespace {

void softmax_strided(const Backend& backend, std::size_t rows, std::size_t cols, const float* x,
                     std::size_t ldx, float* y, std::size_t ldy, float* max, float* sum) {
  backend.softmax({rows, cols, x, static_cast<std::ptrdiff_t>(ldx), y,
                   static_cast<std::ptrdiff_t>(ldy), max, sum});
}

void require_labels(std::size_t rows, std::size_t cols, const int* labels) {
  for (std::size_t i = 0; i < rows; ++i) {
    if (labels[i] >= 0 && static_cast<std::size_t>(labels[i]) < cols) continue;
    throw std::invalid_argument("softmax_cross_entropy: label " + std::to_string(labels[i]) +
                                " of row " + std::to_string(i) + " is not in [0, " +
                                std::to_string(cols) + ")");
  }
}

}  // namespace

void softmax(std::size_t rows, std::size_t cols, const float* x, std::size_t ldx, float* y,
             std::size_t ldy) {
  require(ldx >= cols && ldy >= cols, "softmax", "a row stride is shorter than a row");
  const Backend& backend = dispatch();
  if (rows == 0 || cols == 0) return;
  softmax_strided(backend, rows, cols, x, ldx, y, ldy, nullptr, nullptr);
}

std::size_t softmax_cross_entropy(std::size_t rows, std::size_t cols, const float* logits,
                                  std::size_t ldx, const int* labels, float* gradient,
                                  std::size_t ldg, double* loss) {
  require(ldx >= cols && ldg >= cols, "softmax_cross_entropy",
          "a row stride is shorter than a row");
  require_labels(rows, cols, labels);
  const Backend& backend = dispatch();
  std::size_t correct = 0;
  for (std::size_t i = 0; i < rows; ++i) {
    const float* x = logits + i * ldx;
    float* g = gradient + i * ldg;
    const auto label = static_cast<std::size_t>(labels[i]);
    const float logit = x[label];  // before the gradient may overwrite it
    const bool hit = std::max_element(x, x + cols) == x + label;
    float max = 0;
    float sum = 0;
    softmax_strided(backend, 1, cols, x, ldx, g, ldg, &max, &sum);
    loss[i] = portable_log(static_cast<double>(sum)) +
              (static_cast<double>(max) - static_cast<double>(logit));
    g[label] -= 1.0f;
    correct += hit && !std::isnan(loss[i]) ? 1 : 0;
  }
  return correct;
}

}  // namespace lockstep
