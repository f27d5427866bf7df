// THE table of cells, kCells: what a recurrent layer does with the sums of its products.
#pragma once

#include <cmath>
#include <cstddef>
#include <string_view>

#include "lockstep/gemm.h"
#include "lockstep/range.h"

namespace lockstep {

// A timestep of some sequences, a row each, and of their units those that one thread computes. All
// pointers are to unit 0; c of a state is `units_in_all` floats behind its h.
struct CellStep {
  std::size_t rows;
  std::size_t units_in_all;  // H, also from the sums of a gate to those of the next
  Range units;
  float* sums;  // [gates][H], of a cell with a single sum at the places of h
  std::size_t sum_stride;
  const float* before;  // h' and c'
  std::size_t before_stride;
  float* after;  // h and c
  std::size_t after_stride;
};

// The way back through it. Where a cell has a single sum, gradients and deltas are in one place.
struct CellStepBack {
  CellStep forward;  // as it was left, to be read
  float* gradients;  // of h and c; become what h' and c' have of them beside the products
  std::size_t gradient_stride;
  float* deltas;  // gradients of the sums
  std::size_t delta_stride;
};

// A cell makes its next state from sums of products: those of the inputs x with Wx, those of the
// state h' before with Wh, and a bias. A sum may have a part of both or of one of them.
struct Cell {
  static constexpr std::size_t kNoGate = static_cast<std::size_t>(-1);

  std::string_view name;  // of Layer::cell

  // Per unit: sums, and which of them x and h' meet. The columns of Wx and Wh are in their order.
  std::size_t sums = 1;
  Range input_sums{0, 1};
  Range state_sums{0, 1};
  // The number of each sum among the gates of PyTorch's module.
  const std::size_t* torch_gates;
  bool has_c = false;  // a second state, c, which meets no product
  // Whether h' has gradients beside those of the products.
  bool passes_gradients = false;
  // The sum whose bias is 1 at first, that of all others 0.
  std::size_t open_gate = kNoGate;

  // The function and its derivative as part of the products, where the kernels have them.
  Epilogue fused = Epilogue::none;
  Epilogue fused_gradient = Epilogue::none;
  // The same as passes over what the products left, null where they are fused.
  void (*forward)(const CellStep&) = nullptr;
  void (*backward)(const CellStepBack&) = nullptr;

  // In double, for the gradient check. Of one unit: sums, h' and c', and what becomes of them; a
  // cell with a single sum has no gates.
  void (*define)(const double* sums, const double* before, double* gates, double* after) = nullptr;
  // From what that left, and the gradients of h and c, the deltas; the gradients become those of h'
  // and c' beside the products.
  void (*define_back)(const double* gates, const double* before, const double* after,
                      double* gradients, double* deltas) = nullptr;

  // Whether one product of [x, h'] gives all sums.
  [[nodiscard]] bool has_one_product() const { return input_sums == state_sums; }
  // Whether the sums are at the places of the next h.
  [[nodiscard]] bool is_in_place() const { return sums == 1; }
};

// The logistic function, for definitions in double.
inline double sigma(double x) { return 1 / (1 + std::exp(-x)); }

extern const Cell kTanhCell;
extern const Cell kReluCell;
extern const Cell kGruCell;
extern const Cell kLstmCell;
inline constexpr const Cell* kCells[] = {&kTanhCell, &kReluCell, &kGruCell, &kLstmCell};

}  // namespace lockstep
