#include <algorithm>
#include <cmath>

#include "backends.h"

namespace lockstep {
namespace {

// Reads and writes float32, but each product is summed in double and rounded once. (A product that
// is cut along k is rounded once per part, and tanh rounds once more.)
void gemm_strip(const GemmStrip& g) {
  const auto rows = static_cast<std::ptrdiff_t>(g.rows);
  const auto cols = static_cast<std::ptrdiff_t>(g.cols);
  for (std::ptrdiff_t i = 0; i < rows; ++i) {
    for (std::ptrdiff_t j = 0; j < cols; ++j) {
      double sum = 0;
      if (g.start != nullptr) {
        sum = static_cast<double>(g.plan->beta) *
              static_cast<double>(g.start[i * g.plan->start_row_stride + j]);
      }
      const float* a = g.a + i * g.plan->a_row_stride;
      const float* b = g.b;
      for (std::size_t p = 0; p < g.plan->k;
           ++p, a += g.plan->a_k_stride, b += g.plan->b_k_stride) {
        sum += static_cast<double>(*a) * static_cast<double>(b[j]);
      }
      if (g.plan->epilogue == Epilogue::tanh_gradient) {
        const auto h = static_cast<double>(g.h[i * g.plan->h_row_stride + j]);
        sum *= 1 - h * h;
      }
      g.c[i * g.plan->c_row_stride + j] = static_cast<float>(sum);
    }
  }
}

// Each result is computed in double and rounded once.
template <double (*kFunction)(double)>
void map_array(const float* x, float* y, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) {
    y[i] = static_cast<float>(kFunction(static_cast<double>(x[i])));
  }
}

double tanh(double x) { return std::tanh(x); }
void tanh_rows(float* x, std::size_t rows, std::size_t cols, std::ptrdiff_t stride) {
  for (std::size_t i = 0; i < rows; ++i, x += stride) map_array<tanh>(x, x, cols);
}
double exp(double x) { return std::exp(x); }
double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double relu(double x) { return x < 0 ? 0 : x; }

struct RowStatistics {
  double max;
  double sum;
};

RowStatistics statistics(const float* x, std::size_t n) {
  RowStatistics s{static_cast<double>(*std::max_element(x, x + n)), 0};
  for (std::size_t j = 0; j < n; ++j) s.sum += std::exp(static_cast<double>(x[j]) - s.max);
  return s;
}

void softmax_rows(const SoftmaxRows& s) {
  for (std::size_t i = 0; i < s.rows; ++i) {
    const auto row = static_cast<std::ptrdiff_t>(i);
    const float* x = s.x + row * s.x_row_stride;
    const RowStatistics of_row = statistics(x, s.cols);
    if (s.max != nullptr) s.max[i] = static_cast<float>(of_row.max);
    if (s.sum != nullptr) s.sum[i] = static_cast<float>(of_row.sum);
    if (s.y == nullptr) continue;
    const double factor = static_cast<double>(s.scale) / of_row.sum;
    float* y = s.y + row * s.y_row_stride;
    for (std::size_t j = 0; j < s.cols; ++j) {
      y[j] = static_cast<float>(std::exp(static_cast<double>(x[j]) - of_row.max) * factor);
    }
  }
}

void log_softmax_rows(const SoftmaxRows& s) {
  for (std::size_t i = 0; i < s.rows; ++i) {
    const auto row = static_cast<std::ptrdiff_t>(i);
    const float* x = s.x + row * s.x_row_stride;
    float* y = s.y + row * s.y_row_stride;
    const RowStatistics of_row = statistics(x, s.cols);
    const double log_sum = std::log(of_row.sum);
    for (std::size_t j = 0; j < s.cols; ++j) {
      y[j] = static_cast<float>(static_cast<double>(x[j]) - of_row.max - log_sum);
    }
  }
}

// A gate's sum is read and its value written as float32; what lies between is in double.
double gate(double sum) { return 0.5 + 0.5 * std::tanh(0.5 * sum); }
double wide(float x) { return static_cast<double>(x); }
float narrow(double x) { return static_cast<float>(x); }

void lstm_step(const LstmForward& s) {
  for (std::size_t row = 0; row < s.rows; ++row) {
    for (std::size_t j = 0; j < s.units; ++j) {
      float* gates = s.gates + row * s.ldg + j;
      const double i = gate(wide(gates[0]));
      const double f = gate(wide(gates[s.gate_stride]));
      const double g = std::tanh(wide(gates[2 * s.gate_stride]));
      const double o = gate(wide(gates[3 * s.gate_stride]));
      const double c = f * wide(s.c_before[row * s.ldc_before + j]) + i * g;
      gates[0] = narrow(i);
      gates[s.gate_stride] = narrow(f);
      gates[2 * s.gate_stride] = narrow(g);
      gates[3 * s.gate_stride] = narrow(o);
      s.c[row * s.ldc + j] = narrow(c);
      s.h[row * s.ldh + j] = narrow(o * std::tanh(c));
    }
  }
}

void lstm_step_back(const LstmBackward& s) {
  for (std::size_t row = 0; row < s.rows; ++row) {
    for (std::size_t j = 0; j < s.units; ++j) {
      const float* gates = s.gates + row * s.ldg + j;
      const double i = wide(gates[0]);
      const double f = wide(gates[s.gate_stride]);
      const double g = wide(gates[2 * s.gate_stride]);
      const double o = wide(gates[3 * s.gate_stride]);
      const double t = std::tanh(wide(s.c[row * s.ldc + j]));
      const double dh = wide(s.dh[row * s.lddh + j]);
      float& dc_place = s.dc[row * s.lddc + j];
      const double dc = wide(dc_place) + dh * o * (1 - t * t);
      const double c_before = wide(s.c_before[row * s.ldc_before + j]);
      float* deltas = s.deltas + row * s.ldd + j;
      deltas[0] = narrow(dc * g * i * (1 - i));
      deltas[s.gate_stride] = narrow(dc * c_before * f * (1 - f));
      deltas[2 * s.gate_stride] = narrow(dc * i * (1 - g * g));
      deltas[3 * s.gate_stride] = narrow(dh * t * o * (1 - o));
      dc_place = narrow(dc * f);
    }
  }
}

void gru_step(const GruForward& s) {
  for (std::size_t row = 0; row < s.rows; ++row) {
    for (std::size_t j = 0; j < s.units; ++j) {
      float* gates = s.gates + row * s.ldg + j;
      const double r = gate(wide(gates[s.gate_stride]));
      const double z = gate(wide(gates[2 * s.gate_stride]));
      const double n = std::tanh(wide(gates[0]) + r * wide(gates[3 * s.gate_stride]));
      const double h_before = wide(s.h_before[row * s.ldh_before + j]);
      gates[0] = narrow(n);
      gates[s.gate_stride] = narrow(r);
      gates[2 * s.gate_stride] = narrow(z);
      s.h[row * s.ldh + j] = narrow((1 - z) * n + z * h_before);
    }
  }
}

void gru_step_back(const GruBackward& s) {
  for (std::size_t row = 0; row < s.rows; ++row) {
    for (std::size_t j = 0; j < s.units; ++j) {
      const float* gates = s.gates + row * s.ldg + j;
      const double n = wide(gates[0]);
      const double r = wide(gates[s.gate_stride]);
      const double z = wide(gates[2 * s.gate_stride]);
      const double n_h = wide(gates[3 * s.gate_stride]);
      float& dh_place = s.dh[row * s.lddh + j];
      const double dh = wide(dh_place);
      const double dn = dh * (1 - z) * (1 - n * n);
      const double h_before = wide(s.h_before[row * s.ldh_before + j]);
      float* deltas = s.deltas + row * s.ldd + j;
      deltas[0] = narrow(dn);
      deltas[s.gate_stride] = narrow(dn * n_h * r * (1 - r));
      deltas[2 * s.gate_stride] = narrow(dh * (h_before - n) * z * (1 - z));
      deltas[3 * s.gate_stride] = narrow(dn * r);
      dh_place = narrow(dh * z);
    }
  }
}

void copy_panels(const PanelRows& c) {
  for (std::size_t p = 0; p < c.rows; ++p) {
    const float* row = c.from + static_cast<std::ptrdiff_t>(p) * c.row_stride;
    float* to = c.to + p * kReferencePanel;
    for (std::size_t q = 0; q < c.panels; ++q) {
      for (std::size_t j = 0; j < kReferencePanel; ++j) {
        const float x = row[q * kReferencePanel + j];
        to[q * c.panel_stride + j] = c.alpha == 1.0f ? x : c.alpha * x;
      }
    }
  }
}

}  // namespace

const Backend& reference_table() {
  // A wide panel keeps the packing code in use; lanes = 1 means no read beyond the last column.
  static const Backend backend{.library = "reference",
                               .target = "plain",
                               .fused = false,
                               .lanes = 1,
                               .panel = kReferencePanel,
                               .panels_at_once = {1, 1},
                               .exact_b = false,
                               .gemm_strip = gemm_strip,
                               .gemv_strip = gemm_strip,
                               .copy_panels = copy_panels,
                               .tanh = map_array<tanh>,
                               .tanh_rows = tanh_rows,
                               .exp = map_array<exp>,
                               .sigmoid = map_array<sigmoid>,
                               .relu = map_array<relu>,
                               .softmax = softmax_rows,
                               .log_softmax = log_softmax_rows,
                               .lstm_forward = lstm_step,
                               .lstm_backward = lstm_step_back,
                               .gru_forward = gru_step,
                               .gru_backward = gru_step_back};
  return backend;
}

}  // namespace lockstep
