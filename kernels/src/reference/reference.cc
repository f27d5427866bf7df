#include "reference/reference.h"

#include <algorithm>
#include <cmath>

namespace lockstep {
namespace {

// Reads and writes float32, but each product is summed in double and rounded once. (A product that
// is cut along k is rounded once per part.)
void gemm_strip(const GemmStrip& g) {
  const auto rows = static_cast<std::ptrdiff_t>(g.rows);
  const auto cols = static_cast<std::ptrdiff_t>(g.cols);
  for (std::ptrdiff_t i = 0; i < rows; ++i) {
    for (std::ptrdiff_t j = 0; j < cols; ++j) {
      double sum = 0;
      if (g.start != nullptr) {
        sum =
            static_cast<double>(g.beta) * static_cast<double>(g.start[i * g.start_row_stride + j]);
      }
      const float* a = g.a + i * g.a_row_stride;
      const float* b = g.b;
      for (std::size_t p = 0; p < g.k; ++p, a += g.a_k_stride, b += g.b_k_stride) {
        sum += static_cast<double>(*a) * static_cast<double>(b[j]);
      }
      if (g.epilogue == Epilogue::tanh) {
        sum = std::tanh(sum);
      } else if (g.epilogue == Epilogue::tanh_gradient) {
        const double h = static_cast<double>(g.h[i * g.h_row_stride + j]);
        sum *= 1 - h * h;
      }
      g.c[i * g.c_row_stride + j] = static_cast<float>(sum);
    }
  }
}

void gemv_strip(const GemvStrip& g) {
  GemmStrip s{};
  s.rows = 1;
  s.cols = g.cols;
  s.k = g.k;
  s.a = g.a;
  s.a_k_stride = g.a_k_stride;
  s.b = g.b;
  s.b_k_stride = g.b_k_stride;
  s.start = g.start;
  s.beta = g.beta;
  s.c = g.c;
  gemm_strip(s);
}

void tanh_array(const float* x, float* y, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i)
    y[i] = static_cast<float>(std::tanh(static_cast<double>(x[i])));
}

void exp_array(const float* x, float* y, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i)
    y[i] = static_cast<float>(std::exp(static_cast<double>(x[i])));
}

void softmax_row(const float* x, float* y, std::size_t n, float& max, float& sum) {
  max = *std::max_element(x, x + n);
  const double shift = static_cast<double>(max);
  double total = 0;
  for (std::size_t j = 0; j < n; ++j) total += std::exp(static_cast<double>(x[j]) - shift);
  for (std::size_t j = 0; j < n; ++j) {
    y[j] = static_cast<float>(std::exp(static_cast<double>(x[j]) - shift) / total);
  }
  sum = static_cast<float>(total);
}

void softmax_rows(const SoftmaxRows& s) {
  for (std::size_t i = 0; i < s.rows; ++i) {
    const auto row = static_cast<std::ptrdiff_t>(i);
    float max = 0;
    float sum = 0;
    softmax_row(s.x + row * s.x_row_stride, s.y + row * s.y_row_stride, s.cols, max, sum);
    if (s.max != nullptr) s.max[i] = max;
    if (s.sum != nullptr) s.sum[i] = sum;
  }
}

}  // namespace

const Backend& reference_table() {
  // A wide panel keeps the packing code in use; lanes = 1 means no read beyond the last column.
  static const Backend backend{"reference", "plain",    false,      1,         16,          false,
                               gemm_strip,  gemv_strip, tanh_array, exp_array, softmax_rows};
  return backend;
}

}  // namespace lockstep
