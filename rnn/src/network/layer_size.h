#pragma once

#include <cstddef>
#include <vector>

#include "cells/cell.h"
#include "lockstep/range.h"
#include "lockstep/rnn/network.h"
#include "lookup.h"

namespace lockstep {

// b, Wx and Wh of each direction.
inline constexpr std::size_t kTensorsOfLayer = 3;

// Sizes and cell of one direction of a layer, which is most often the whole layer. Its parameters
// are b, Wx, Wh, row after row; a row has the columns of the sums that it meets.
struct LayerSize {
  std::size_t layer;  // counted from 0
  std::size_t inputs;
  std::size_t hidden;
  const Cell* cell;
  bool backward;  // reads every sequence from its last timestep to its first

  // Of a layer of a valid network.
  LayerSize(const Network& network, std::size_t number, bool is_backward)
      : layer(number),
        inputs(number == 0 ? network.features : network.layers[number - 1].outputs()),
        hidden(network.layers[number].hidden),
        cell(&find_named(kCells, network.layers[number].cell, "cell")),
        backward(is_backward) {}

  [[nodiscard]] std::size_t sums() const { return cell->sums * hidden; }
  // h, and c where the cell has it.
  [[nodiscard]] std::size_t state() const { return cell->has_c ? 2 * hidden : hidden; }
  [[nodiscard]] std::size_t rows() const { return 1 + inputs + hidden; }  // of b, Wx, Wh

  [[nodiscard]] Range input_columns() const {
    return {cell->input_sums.begin * hidden, cell->input_sums.end * hidden};
  }
  [[nodiscard]] Range state_columns() const {
    return {cell->state_sums.begin * hidden, cell->state_sums.end * hidden};
  }
  // Numbers of Wx and Wh, and of the whole layer.
  [[nodiscard]] std::size_t weights() const {
    return inputs * input_columns().size() + hidden * state_columns().size();
  }
  [[nodiscard]] std::size_t parameters() const { return sums() + weights(); }
  [[nodiscard]] std::size_t weight_bytes() const { return weights() * sizeof(float); }
};

// Of a valid network, in the order of its parameters: of each layer the forward direction, then the
// backward one if it has it.
[[nodiscard]] inline std::vector<LayerSize> layer_sizes(const Network& network) {
  std::vector<LayerSize> sizes;
  for (std::size_t layer = 0; layer < network.layers.size(); ++layer) {
    sizes.emplace_back(network, layer, false);
    if (network.layers[layer].bidirectional) sizes.emplace_back(network, layer, true);
  }
  return sizes;
}

}  // namespace lockstep
