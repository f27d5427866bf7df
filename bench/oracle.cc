#include "oracle.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace lockstep::bench {
namespace {

using Function = double (*)(double);

Function definition(Kernel function) {
  switch (function) {
    case Kernel::tanh:
      return [](double x) { return std::tanh(x); };
    case Kernel::exp:
      return [](double x) { return std::exp(x); };
    case Kernel::sigmoid:
      return [](double x) { return 1 / (1 + std::exp(-x)); };
    case Kernel::relu:
      return [](double x) { return std::max(x, 0.0); };
    default:
      throw std::invalid_argument("the kernel is no elementwise function");
  }
}

// log(sum over j of exp(x[j])), without overflow.
double log_sum_exp(std::span<const float> x) {
  const auto largest = static_cast<double>(*std::max_element(x.begin(), x.end()));
  double sum = 0;
  for (const float v : x) sum += std::exp(static_cast<double>(v) - largest);
  return largest + std::log(sum);
}

}  // namespace

std::vector<float> expected_product_row(Kernel layout, const GemmOperands& o, std::size_t row) {
  const bool transposed = layout == Kernel::gemm_tn;
  const auto [alpha, beta] = factors_of(layout);
  std::vector<double> sums(o.n);
  for (std::size_t p = 0; p < o.k; ++p) {
    const auto a = static_cast<double>(o.a[transposed ? p * o.lda + row : row * o.lda + p]);
    for (std::size_t j = 0; j < o.n; ++j) {
      const std::size_t place = layout == Kernel::gemm_batch_nt ? j * o.ldb + p : p * o.ldb + j;
      sums[j] += a * static_cast<double>(o.b[place]);
    }
  }
  std::vector<float> result(o.n);
  for (std::size_t j = 0; j < o.n; ++j) {
    double sum = static_cast<double>(alpha) * sums[j];
    if (beta != 0) sum += static_cast<double>(beta) * static_cast<double>(o.c[row * o.ldc + j]);
    result[j] = static_cast<float>(sum);
  }
  return result;
}

std::vector<float> expected_elementwise(Kernel function, std::span<const float> x) {
  const Function f = definition(function);
  std::vector<float> result(x.size());
  std::transform(x.begin(), x.end(), result.begin(),
                 [f](float v) { return static_cast<float>(f(static_cast<double>(v))); });
  return result;
}

std::vector<float> expected_rows(Kernel kind, const RowsOperands& o) {
  if (kind != Kernel::softmax && kind != Kernel::log_softmax && kind != Kernel::loss) {
    throw std::invalid_argument("the kernel does not work on rows");
  }
  std::vector<float> result, losses;
  for (std::size_t i = 0; i < o.rows; ++i) {
    const std::span<const float> x(o.x + i * o.cols, o.cols);
    const double norm = log_sum_exp(x);
    const auto label = static_cast<std::size_t>(o.labels[i]);
    for (std::size_t j = 0; j < o.cols; ++j) {
      const double log_p = static_cast<double>(x[j]) - norm;
      const double one = kind == Kernel::loss && j == label ? 1 : 0;
      result.push_back(
          static_cast<float>(kind == Kernel::log_softmax ? log_p : std::exp(log_p) - one));
    }
    if (kind == Kernel::loss)
      losses.push_back(static_cast<float>(norm - static_cast<double>(x[label])));
  }
  result.insert(result.end(), losses.begin(), losses.end());
  return result;
}

// The first step: m = (1 - beta1) g and v = (1 - beta2) g^2 are corrected to g and g^2.
std::vector<float> expected_update(Kernel optimizer, std::span<const float> weights,
                                   std::span<const float> gradient) {
  std::vector<float> result;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const auto w = static_cast<double>(weights[i]);
    const auto g = static_cast<double>(gradient[i]);
    const double adamw = w * (1 - 0.001 * 0.01) - 0.001 * g / (std::abs(g) + 1e-8);
    const double rmsprop = w - 0.01 * g / (0.1 * std::abs(g) + 1e-8);
    result.push_back(static_cast<float>(optimizer == Kernel::update_sgd     ? w - 0.05 * g
                                        : optimizer == Kernel::update_adamw ? adamw
                                                                            : rmsprop));
  }
  return result;
}

}  // namespace lockstep::bench
