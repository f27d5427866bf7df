// One of several classes: p = softmax(y), loss -log p[label], dLoss/dy = p - onehot(label).
#include <algorithm>
#include <cmath>

#include "heads/head.h"
#include "lockstep/softmax.h"

namespace lockstep {
namespace {

std::size_t loss(const MatrixView& y, const int* labels, double* losses) {
  return softmax_cross_entropy(y.rows, y.cols, y.data, y.stride, labels, y.data, y.stride, losses);
}

void predict(const MatrixView& y) { softmax(y.rows, y.cols, y.data, y.stride, y.data, y.stride); }

double define(std::vector<double>& y, std::size_t label) {
  const double max = *std::ranges::max_element(y);
  double sum = 0;
  for (const double logit : y) sum += std::exp(logit - max);
  const double loss = std::log(sum) + max - y[label];
  for (double& value : y) value = std::exp(value - max) / sum;
  y[label] -= 1;
  return loss;
}

}  // namespace

const Head kClassifyHead{.name = "classify", .loss = loss, .predict = predict, .define = define};

}  // namespace lockstep
