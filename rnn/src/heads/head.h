// THE table of heads, kHeads: what a network does with its outputs and their targets.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "lockstep/matrix_view.h"

namespace lockstep {

struct Head {
  std::string_view name;  // of Network::head

  // Outputs, a row for each sequence, become their gradients of the summed loss. Leaves the loss of
  // each row in `losses` and returns how many rows were right.
  std::size_t (*loss)(const MatrixView& outputs, const int* labels, double* losses);
  // Outputs become what a prediction gives.
  void (*predict)(const MatrixView& outputs);

  // The loss of one row, whose outputs become their gradients: what the gradient check compares
  // with.
  double (*define)(std::vector<double>& outputs, std::size_t label);
};

extern const Head kClassifyHead;
inline constexpr const Head* kHeads[] = {&kClassifyHead};

}  // namespace lockstep
