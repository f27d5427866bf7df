// The rectifier: h = max(0, a), whose derivative is 1 where h > 0, otherwise 0. PyTorch's RNN,
// nonlinearity="relu"; as there, the gradient of a NaN passes.
#include "cells/cell.h"
#include "lockstep/elementwise.h"

namespace lockstep {
namespace {

constexpr std::size_t kTorchGates[] = {0};

void forward(const CellStep& s) {
  for (std::size_t i = 0; i < s.rows; ++i) {
    float* row = s.sums + i * s.sum_stride + s.units.begin;
    relu(row, row, s.units.size());
  }
}

void backward(const CellStepBack& s) {
  for (std::size_t i = 0; i < s.forward.rows; ++i) {
    float* row = s.deltas + i * s.delta_stride;
    const float* h = s.forward.after + i * s.forward.after_stride;
    for (std::size_t j = s.forward.units.begin; j < s.forward.units.end; ++j) {
      row[j] = h[j] <= 0 ? 0.0f : row[j];
    }
  }
}

void define(const double* sums, const double*, double*, double* after) {
  *after = *sums < 0 ? 0 : *sums;
}

void define_back(const double*, const double*, const double* after, double* gradients,
                 double* deltas) {
  *deltas = *after <= 0 ? 0 : *gradients;
  *gradients = 0;
}

}  // namespace

const Cell kReluCell{.name = "relu",
                     .torch_gates = kTorchGates,
                     .forward = forward,
                     .backward = backward,
                     .define = define,
                     .define_back = define_back};

}  // namespace lockstep
