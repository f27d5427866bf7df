#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <vector>

#include "lockstep/elementwise.h"
#include "microkernels.h"

namespace lockstep {

struct ElementwiseFunction {
  using Kernel = void (*)(const float* x, float* y, std::size_t n);

  const char* name;
  Kernel kernel;
  Kernel (*kernel_of)(const Backend&);  // the same, on any backend at any time
  double (*exact)(double);
  double max_ulp;
  bool odd;

  [[nodiscard]] std::vector<float> operator()(const std::vector<float>& x) const {
    std::vector<float> y(x.size());
    kernel(x.data(), y.data(), x.size());
    return y;
  }
};

// The C library's functions of doubles err by some 2^-29 of the last place of a float.
inline const std::array<ElementwiseFunction, 4> kElementwiseFunctions{
    {{"tanh", &tanh, [](const Backend& b) -> ElementwiseFunction::Kernel { return b.tanh; },
      [](double x) { return std::tanh(x); }, kTanhMaxUlp, true},
     {"exp", &exp, [](const Backend& b) -> ElementwiseFunction::Kernel { return b.exp; },
      [](double x) { return std::exp(x); }, kExpMaxUlp, false},
     {"sigmoid", &sigmoid,
      [](const Backend& b) -> ElementwiseFunction::Kernel { return b.sigmoid; },
      [](double x) { return 1 / (1 + std::exp(-x)); }, kSigmoidMaxUlp, false},
     {"relu", &relu, [](const Backend& b) -> ElementwiseFunction::Kernel { return b.relu; },
      [](double x) { return x < 0 ? 0 : x; }, 0, false}}};

}  // namespace lockstep
