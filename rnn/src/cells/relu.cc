// The rectifier: h = max(0, a), whose derivative is 1 where h > 0, otherwise 0. PyTorch's RNN,
// nonlinearity="relu"; as there, the gradient of a NaN passes.
#include "cells/cell.h"
#include "lockstep/elementwise.h"

namespace lockstep {
namespace {

void forward(const MatrixView& sums) {
  for (std::size_t i = 0; i < sums.rows; ++i) {
    float* row = sums.data + i * sums.stride;
    relu(row, row, sums.cols);
  }
}

void backward(const MatrixView& gradients, const float* h, std::size_t ldh) {
  for (std::size_t i = 0; i < gradients.rows; ++i) {
    float* row = gradients.data + i * gradients.stride;
    for (std::size_t j = 0; j < gradients.cols; ++j) {
      row[j] = h[i * ldh + j] <= 0 ? 0.0f : row[j];
    }
  }
}

}  // namespace

const Cell kReluCell{
    .name = "relu",
    .forward = forward,
    .backward = backward,
    .define = [](double a) { return a < 0 ? 0.0 : a; },
    .define_slope = [](double h) { return h <= 0 ? 0.0 : 1.0; },
};

}  // namespace lockstep
