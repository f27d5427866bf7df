// Rows of tables by their names.
#pragma once

#include <algorithm>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lockstep/error.h"

namespace lockstep {

// The names of rows, separated by commas.
template <class Rows, class NameOf = std::identity>
std::string listed(const Rows& rows, NameOf name_of = {}) {
  std::string text;
  for (const auto& row : rows) {
    text += (text.empty() ? "" : ", ") + std::string(std::invoke(name_of, row));
  }
  return text;
}

template <class Row>
std::vector<std::string> names_of(std::span<const Row* const> table) {
  std::vector<std::string> names;
  for (const Row* row : table) names.emplace_back(row->name);
  return names;
}

// Throws std::invalid_argument, with the names that there are.
template <class Row>
const Row& find_named(std::span<const Row* const> table, std::string_view name, const char* what) {
  const auto found = std::ranges::find(table, name, &Row::name);
  if (found != table.end()) return **found;
  throw InvalidArgument("unknown " + std::string(what) + " '" + std::string(name) +
                        "', expected one of " + listed(table, &Row::name));
}

}  // namespace lockstep
