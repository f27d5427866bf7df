// Rows of tables by their names.
#pragma once

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lockstep/error.h"

namespace lockstep {

// The names of rows, separated by commas.
template <class Rows, class NameOf = std::identity>
std::string listed(const Rows& rows, NameOf name_of = {}) {
  std::string text;
  for (const auto& row : rows) text += ", " + std::string(std::invoke(name_of, row));
  return text.empty() ? text : text.substr(2);
}

// The names of a table of pointers to rows.
template <class Table>
std::vector<std::string> names_of(const Table& table) {
  std::vector<std::string> names;
  for (const auto* row : table) names.emplace_back(row->name);
  return names;
}

// A name that occurs twice, if there is one.
inline std::optional<std::string> repeated(std::vector<std::string> names) {
  std::ranges::sort(names);
  const auto twice = std::ranges::adjacent_find(names);
  return twice == names.end() ? std::nullopt : std::optional(*twice);
}

// The row of a table of pointers. Throws std::invalid_argument, with the names that there are.
template <class Table>
const auto& find_named(const Table& table, std::string_view name, const char* what) {
  for (const auto* row : table) {
    if (row->name == name) return *row;
  }
  throw InvalidArgument("unknown " + std::string(what) + " '" + std::string(name) +
                        "', expected one of " + listed(names_of(table)));
}

}  // namespace lockstep
