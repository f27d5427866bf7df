#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace lockstep {

/// Parses JSON that may come from anyone. Throws std::runtime_error, with a reason to follow the
/// name of the file, if it is not JSON, if an object holds a key twice (readers disagree about
/// which one counts) or if objects and arrays are nested more than four deep.
[[nodiscard]] nlohmann::json parse_strict_json(std::string_view text);

/// `text` in quotes for an error message: printable ASCII and of bounded length, whatever it holds.
[[nodiscard]] std::string quote(std::string_view text);

}  // namespace lockstep
