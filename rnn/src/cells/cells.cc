#include "cells/cell.h"
#include "lockstep/rnn/network.h"
#include "lookup.h"

namespace lockstep {

std::span<const Cell* const> cells() {
  static constexpr const Cell* kCells[] = {&kTanhCell, &kReluCell};
  return kCells;
}

const Cell& cell_named(std::string_view name) { return find_named(cells(), name, "cell"); }

std::vector<std::string> cell_names() { return names_of(cells()); }

}  // namespace lockstep
