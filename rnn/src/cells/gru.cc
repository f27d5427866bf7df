// The gated recurrent unit with the reset gate behind the product (lockstep/gates.h), PyTorch's
// GRU. Sums: n_x, r, z, n_h. x meets the first three and h' the last three, each with neighbouring
// columns; n_x and n_h have biases of their own.
#include <cmath>

#include "cells/cell.h"
#include "lockstep/gates.h"

namespace lockstep {
namespace {

constexpr std::size_t kTorchGates[] = {2, 0, 1, 2};  // r, z, n

void forward(const CellStep& s) {
  const std::size_t first = s.units.begin;
  gru_forward({.rows = s.rows,
               .units = s.units.size(),
               .gate_stride = s.units_in_all,
               .gates = s.sums + first,
               .ldg = s.sum_stride,
               .h_before = s.before + first,
               .ldh_before = s.before_stride,
               .h = s.after + first,
               .ldh = s.after_stride});
}

void backward(const CellStepBack& s) {
  const CellStep& f = s.forward;
  const std::size_t first = f.units.begin;
  gru_backward({.rows = f.rows,
                .units = f.units.size(),
                .gate_stride = f.units_in_all,
                .gates = f.sums + first,
                .ldg = f.sum_stride,
                .h_before = f.before + first,
                .ldh_before = f.before_stride,
                .dh = s.gradients + first,
                .lddh = s.gradient_stride,
                .deltas = s.deltas + first,
                .ldd = s.delta_stride});
}

void define(const double* sums, const double* before, double* gates, double* after) {
  gates[1] = sigma(sums[1]);
  gates[2] = sigma(sums[2]);
  gates[3] = sums[3];
  gates[0] = std::tanh(sums[0] + gates[1] * sums[3]);
  *after = (1 - gates[2]) * gates[0] + gates[2] * *before;
}

void define_back(const double* gates, const double* before, const double*, double* gradients,
                 double* deltas) {
  const double n = gates[0];
  const double r = gates[1];
  const double z = gates[2];
  const double n_h = gates[3];
  const double dh = *gradients;
  deltas[0] = dh * (1 - z) * (1 - n * n);
  deltas[1] = deltas[0] * n_h * r * (1 - r);
  deltas[2] = dh * (*before - n) * z * (1 - z);
  deltas[3] = deltas[0] * r;
  *gradients = dh * z;
}

}  // namespace

const Cell kGruCell{.name = "gru",
                    .sums = 4,
                    .input_sums = {0, 3},
                    .state_sums = {1, 4},
                    .torch_gates = kTorchGates,
                    .passes_gradients = true,
                    .forward = forward,
                    .backward = backward,
                    .define = define,
                    .define_back = define_back};

}  // namespace lockstep
