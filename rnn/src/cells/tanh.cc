// The vanilla cell: h = tanh(a), whose derivative is 1 - h^2. PyTorch's RNN, nonlinearity="tanh".
#include <cmath>

#include "cells/cell.h"

namespace lockstep {
namespace {

constexpr std::size_t kTorchGates[] = {0};

void define(const double* sums, const double*, double*, double* after) {
  *after = std::tanh(*sums);
}

void define_back(const double*, const double*, const double* after, double* gradients,
                 double* deltas) {
  *deltas = *gradients * (1 - *after * *after);
  *gradients = 0;
}

}  // namespace

const Cell kTanhCell{.name = "tanh",
                     .torch_gates = kTorchGates,
                     .fused = Epilogue::tanh,
                     .fused_gradient = Epilogue::tanh_gradient,
                     .define = define,
                     .define_back = define_back};

}  // namespace lockstep
