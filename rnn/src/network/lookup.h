// Rows of the tables of cells, heads and optimizers by their names.
#pragma once

#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "lockstep/error.h"

namespace lockstep {

template <class Row>
std::vector<std::string> names_of(std::span<const Row* const> table) {
  std::vector<std::string> names;
  for (const Row* row : table) names.emplace_back(row->name);
  return names;
}

// Throws std::invalid_argument, with the names that there are.
template <class Row>
const Row& find_named(std::span<const Row* const> table, std::string_view name, const char* what) {
  std::string known;
  for (const Row* row : table) {
    if (row->name == name) return *row;
    known += (known.empty() ? "" : ", ") + std::string(row->name);
  }
  throw InvalidArgument("unknown " + std::string(what) + " '" + std::string(name) +
                        "', expected one of " + known);
}

}  // namespace lockstep
