// One of several classes: p = softmax(y), loss -log p[label], dLoss/dy = p - onehot(label). With
// label smoothing s the label is (1 - s) onehot(label) + s / classes.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "heads/head.h"
#include "lockstep/softmax.h"

namespace lockstep {
namespace {

std::size_t plain_loss(const MatrixView& y, const int* labels, double* losses) {
  return softmax_cross_entropy(y.rows, y.cols, y.data, y.stride, labels, y.data, y.stride, losses);
}

std::size_t smoothed_loss(std::span<float> y, int label, double smoothing, double* loss) {
  const auto of_label = static_cast<double>(y[static_cast<std::size_t>(label)]);
  const double mean = std::accumulate(y.begin(), y.end(), 0.0) / static_cast<double>(y.size());
  const std::size_t right = plain_loss({y.data(), 1, y.size()}, &label, loss);
  *loss += smoothing * (of_label - mean);
  const double of_each = smoothing / static_cast<double>(y.size());
  for (float& gradient : y) gradient -= static_cast<float>(of_each);
  y[static_cast<std::size_t>(label)] += static_cast<float>(smoothing);
  return right;
}

double loss(const HeadRows& rows, const Options& options, double* losses) {
  const MatrixView& y = rows.outputs;
  const std::span<const int> labels(rows.labels, y.rows);
  const bool all_known = std::ranges::find(labels, kNoLabel) == labels.end();
  if (all_known && options.label_smoothing == 0) {
    return static_cast<double>(plain_loss(y, rows.labels, losses));
  }
  std::size_t right = 0;
  for (std::size_t i = 0; i < y.rows; ++i) {
    const std::span<float> row(y.data + i * y.stride, y.cols);
    if (labels[i] == kNoLabel) {
      std::ranges::fill(row, 0.0f);
      losses[i] = 0;
    } else {
      right += smoothed_loss(row, labels[i], options.label_smoothing, losses + i);
    }
  }
  return static_cast<double>(right);
}

void predict(const MatrixView& y) { softmax(y.rows, y.cols, y.data, y.stride, y.data, y.stride); }

double define(std::vector<double>& y, const Target& target, const Options& options) {
  if (target.label == kNoLabel) {
    std::ranges::fill(y, 0.0);
    return 0;
  }
  const double max = *std::ranges::max_element(y);
  double sum = 0;
  for (const double logit : y) sum += std::exp(logit - max);
  const double log_sum = std::log(sum) + max;
  double loss = 0;
  for (std::size_t j = 0; j < y.size(); ++j) {
    const double s = options.label_smoothing;
    const bool is_label = j == static_cast<std::size_t>(target.label);
    const double expected = (is_label ? 1 - s : 0) + s / static_cast<double>(y.size());
    loss += expected * (log_sum - y[j]);
    y[j] = std::exp(y[j] - log_sum) - expected;
  }
  return loss;
}

}  // namespace

const Head kClassifyHead{.name = "classify",
                         .targets = TargetKind::label,
                         .has_accuracy = true,
                         .loss = loss,
                         .predict = predict,
                         .define = define};
const Head kClassifyStepsHead{.name = "classify_steps",
                              .targets = TargetKind::step_labels,
                              .has_accuracy = true,
                              .loss = loss,
                              .predict = predict,
                              .define = define};

}  // namespace lockstep
