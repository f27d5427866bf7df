// Long short-term memory (lockstep/gates.h), PyTorch's LSTM. Sums: i, f, g, o. The bias of the
// forget gate f is 1 at first (Gers et al. 2000; Jozefowicz et al. 2015).
#include <cmath>

#include "cells/cell.h"
#include "lockstep/gates.h"

namespace lockstep {
namespace {

constexpr std::size_t kTorchGates[] = {0, 1, 2, 3};  // i, f, g, o

void forward(const CellStep& s) {
  const std::size_t first = s.units.begin;
  const std::size_t c = s.units_in_all + first;
  lstm_forward({.rows = s.rows,
                .units = s.units.size(),
                .gate_stride = s.units_in_all,
                .gates = s.sums + first,
                .ldg = s.sum_stride,
                .c_before = s.before + c,
                .ldc_before = s.before_stride,
                .c = s.after + c,
                .ldc = s.after_stride,
                .h = s.after + first,
                .ldh = s.after_stride});
}

void backward(const CellStepBack& s) {
  const CellStep& f = s.forward;
  const std::size_t first = f.units.begin;
  const std::size_t c = f.units_in_all + first;
  lstm_backward({.rows = f.rows,
                 .units = f.units.size(),
                 .gate_stride = f.units_in_all,
                 .gates = f.sums + first,
                 .ldg = f.sum_stride,
                 .c_before = f.before + c,
                 .ldc_before = f.before_stride,
                 .c = f.after + c,
                 .ldc = f.after_stride,
                 .dh = s.gradients + first,
                 .lddh = s.gradient_stride,
                 .dc = s.gradients + c,
                 .lddc = s.gradient_stride,
                 .deltas = s.deltas + first,
                 .ldd = s.delta_stride});
}

void define(const double* sums, const double* before, double* gates, double* after) {
  gates[0] = sigma(sums[0]);
  gates[1] = sigma(sums[1]);
  gates[2] = std::tanh(sums[2]);
  gates[3] = sigma(sums[3]);
  after[1] = gates[1] * before[1] + gates[0] * gates[2];
  after[0] = gates[3] * std::tanh(after[1]);
}

void define_back(const double* gates, const double* before, const double* after, double* gradients,
                 double* deltas) {
  const double i = gates[0];
  const double f = gates[1];
  const double g = gates[2];
  const double o = gates[3];
  const double t = std::tanh(after[1]);
  const double dh = gradients[0];
  const double dc = gradients[1] + dh * o * (1 - t * t);
  deltas[0] = dc * g * i * (1 - i);
  deltas[1] = dc * before[1] * f * (1 - f);
  deltas[2] = dc * i * (1 - g * g);
  deltas[3] = dh * t * o * (1 - o);
  gradients[0] = 0;
  gradients[1] = dc * f;
}

}  // namespace

const Cell kLstmCell{.name = "lstm",
                     .sums = 4,
                     .input_sums = {0, 4},
                     .state_sums = {0, 4},
                     .torch_gates = kTorchGates,
                     .has_c = true,
                     .open_gate = 1,
                     .forward = forward,
                     .backward = backward,
                     .define = define,
                     .define_back = define_back};

}  // namespace lockstep
