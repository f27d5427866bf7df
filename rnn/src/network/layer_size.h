#pragma once

#include <cstddef>

#include "cells/cell.h"
#include "lockstep/range.h"
#include "lockstep/rnn/network.h"
#include "lookup.h"

namespace lockstep {

// Sizes and cell of a layer. Its parameters are b, Wx, Wh, row after row; a row has the columns of
// the sums that it meets.
struct LayerSize {
  std::size_t inputs;
  std::size_t hidden;
  const Cell* cell;

  // Of a valid network.
  explicit LayerSize(const Network& network)
      : inputs(network.features),
        hidden(network.layers.front().hidden),
        cell(&find_named(kCells, network.layers.front().cell, "cell")) {}

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
  // Of one of the rows.
  [[nodiscard]] Range columns(std::size_t row) const {
    if (row == 0) return {0, sums()};
    return row <= inputs ? input_columns() : state_columns();
  }
  // Numbers of Wx and Wh, and of the whole layer.
  [[nodiscard]] std::size_t weights() const {
    return inputs * input_columns().size() + hidden * state_columns().size();
  }
  [[nodiscard]] std::size_t parameters() const { return sums() + weights(); }
  [[nodiscard]] std::size_t weight_bytes() const { return weights() * sizeof(float); }
};

}  // namespace lockstep
