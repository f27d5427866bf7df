// Any of several labels: p = sigmoid(y), the mean over the outputs of the binary cross-entropy
// -t log p - (1 - t) log(1 - p), dLoss/dy = (p - t) / outputs, as PyTorch's BCEWithLogitsLoss.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "heads/head.h"
#include "lockstep/elementwise.h"
#include "lockstep/portable_math.h"

namespace lockstep {
namespace {

double row_loss(std::span<float> y, std::span<const float> targets, double* loss) {
  constexpr std::size_t kAtOnce = 64;
  std::array<float, kAtOnce> logits;
  std::array<float, kAtOnce> minus;
  double right = 0;
  const auto count = static_cast<double>(y.size());
  *loss = 0;
  for (std::size_t first = 0; first < y.size(); first += kAtOnce) {
    const std::size_t n = std::min(kAtOnce, y.size() - first);
    // 1 - p would round to 0 long before sigmoid(-y) does.
    for (std::size_t j = 0; j < n; ++j) {
      logits[j] = y[first + j];
      minus[j] = -logits[j];
    }
    sigmoid(minus.data(), minus.data(), n);
    sigmoid(y.data() + first, y.data() + first, n);
    for (std::size_t j = 0; j < n; ++j) {
      const float t = targets[first + j];
      float& p = y[first + j];
      const bool is_known = !std::isnan(t);
      if (is_known) {
        const auto share = static_cast<double>(t);
        // -t log p - (1 - t) log(1 - p), of which the logarithm of the larger is taken alone.
        const auto logit = static_cast<double>(logits[j]);
        const double log_larger = portable_log(static_cast<double>(std::max(p, minus[j])));
        *loss += ((logit >= 0 ? (1 - share) : -share) * logit - log_larger) / count;
        right += (p > 0.5f) == (t > 0.5f) ? 1 / count : 0;
      }
      p = is_known ? static_cast<float>(static_cast<double>(p - t) / count) : 0.0f;
    }
  }
  return right;
}

double loss(const HeadRows& rows, const Options&, double* losses) {
  const MatrixView& y = rows.outputs;
  double right = 0;
  for (std::size_t i = 0; i < y.rows; ++i) {
    right += row_loss({y.data + i * y.stride, y.cols}, rows.target(i).values, losses + i);
  }
  return right;
}

void predict(const MatrixView& y) {
  for (std::size_t i = 0; i < y.rows; ++i) {
    float* row = y.data + i * y.stride;
    sigmoid(row, row, y.cols);
  }
}

double define(std::vector<double>& y, const Target& target, const Options&) {
  double sum = 0;
  const auto count = static_cast<double>(y.size());
  for (std::size_t j = 0; j < y.size(); ++j) {
    const auto t = static_cast<double>(target.values[j]);
    const double p = 1 / (1 + std::exp(-y[j]));
    // log(1 + exp(y)) without overflow.
    const double softplus = std::max(y[j], 0.0) + std::log1p(std::exp(-std::abs(y[j])));
    sum += std::isnan(t) ? 0 : (softplus - t * y[j]) / count;
    y[j] = std::isnan(t) ? 0 : (p - t) / count;
  }
  return sum;
}

}  // namespace

const Head kMultilabelHead{.name = "multilabel",
                           .targets = TargetKind::values,
                           .has_accuracy = true,
                           .loss = loss,
                           .predict = predict,
                           .define = define};

}  // namespace lockstep
