// THE table of cells, kCells: what a recurrent layer does with the sums of its products.
#pragma once

#include <cstddef>
#include <string_view>

#include "lockstep/gemm.h"

namespace lockstep {

// A cell with one sum per unit: h = f(a), a = b + x Wx + h' Wh.
struct Cell {
  std::string_view name;  // of Layer::cell

  // f and its derivative as part of the products, where the kernels have them.
  Epilogue fused = Epilogue::none;
  Epilogue fused_gradient = Epilogue::none;
  // The same as passes over what the products left, null where they are fused: sums become states,
  // gradients of the states h become gradients of the sums.
  void (*forward)(const MatrixView& sums) = nullptr;
  void (*backward)(const MatrixView& gradients, const float* h, std::size_t ldh) = nullptr;

  // f and, from a state h = f(a), its derivative: what the gradient check compares with.
  double (*define)(double a) = nullptr;
  double (*define_slope)(double h) = nullptr;
};

extern const Cell kTanhCell;
extern const Cell kReluCell;
inline constexpr const Cell* kCells[] = {&kTanhCell, &kReluCell};

}  // namespace lockstep
