#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace lockstep::command {

/// Reads the command line. Returns what it asks for, which returns the exit code; for --help and
/// --version that prints a text. Throws UsageError.
[[nodiscard]] std::function<int()> parse_command_line(int argc, char** argv);

/// The flag of an option of Options: "--learning-rate".
[[nodiscard]] std::string flag_of(std::string_view name);

}  // namespace lockstep::command
