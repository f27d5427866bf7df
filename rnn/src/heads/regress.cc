// Numbers: the mean over the outputs of a loss of d = y - target, as PyTorch's MSELoss, HuberLoss
// and L1Loss: d^2; d^2 / 2 up to |d| = delta, beyond it delta (|d| - delta / 2); |d|.
#include <algorithm>
#include <cmath>

#include "heads/head.h"

namespace lockstep {
namespace {

struct Part {
  double loss;
  double gradient;
};

Part part_of(double d, const Options& options) {
  const double size = std::abs(d);
  const double sign = d > 0 ? 1 : d < 0 ? -1 : 0;
  switch (options.loss) {
    case RegressionLoss::huber:
      if (size <= options.delta) return {0.5 * d * d, d};
      return {options.delta * (size - 0.5 * options.delta), options.delta * sign};
    case RegressionLoss::mae:
      return {size, sign};
    case RegressionLoss::mse:
      break;
  }
  return {d * d, 2 * d};
}

// Of one row, whose outputs become their gradients.
template <class Number>
double row_loss(std::span<Number> y, std::span<const float> targets, const Options& options) {
  double sum = 0;
  const auto count = static_cast<double>(y.size());
  for (std::size_t j = 0; j < y.size(); ++j) {
    const double d = static_cast<double>(y[j]) - static_cast<double>(targets[j]);
    const Part part = std::isnan(targets[j]) ? Part{0, 0} : part_of(d, options);
    sum += part.loss / count;
    y[j] = static_cast<Number>(part.gradient / count);
  }
  return sum;
}

double loss(const HeadRows& rows, const Options& options, double* losses) {
  const MatrixView& y = rows.outputs;
  for (std::size_t i = 0; i < y.rows; ++i) {
    losses[i] = row_loss(std::span(y.data + i * y.stride, y.cols), rows.target(i).values, options);
  }
  return 0;
}

void predict(const MatrixView&) {}

double define(std::vector<double>& y, const Target& target, const Options& options) {
  return row_loss(std::span(y), target.values, options);
}

}  // namespace

double regression_loss(double d, const Options& options) { return part_of(d, options).loss; }

const Head kRegressHead{.name = "regress",
                        .targets = TargetKind::values,
                        .has_accuracy = false,
                        .loss = loss,
                        .predict = predict,
                        .define = define};
const Head kRegressStepsHead{.name = "regress_steps",
                             .targets = TargetKind::step_values,
                             .has_accuracy = false,
                             .loss = loss,
                             .predict = predict,
                             .define = define};

}  // namespace lockstep
