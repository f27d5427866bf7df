// THE table of heads: what a network does with its outputs and their targets.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace lockstep {

// Outputs of `rows` sequences, [rows][cols], row after row `stride` floats apart.
struct Outputs {
  float* values;
  std::size_t rows;
  std::size_t cols;
  std::size_t stride;
};

struct Head {
  std::string_view name;  // of Network::head

  // Outputs become their gradients of the summed loss. Leaves the loss of each row in `losses` and
  // returns how many rows were right.
  std::size_t (*loss)(const Outputs& outputs, const int* labels, double* losses);
  // Outputs become what a prediction gives, at `to`, [rows][cols], `to_stride` floats apart.
  void (*predict)(const Outputs& outputs, float* to, std::size_t to_stride);

  // The loss of one row, whose outputs become their gradients: what the gradient check compares
  // with.
  double (*define)(std::vector<double>& outputs, std::size_t label);
};

[[nodiscard]] std::span<const Head* const> heads();
// Throws std::invalid_argument, with the names that there are.
[[nodiscard]] const Head& head_named(std::string_view name);

extern const Head kClassifyHead;

}  // namespace lockstep
