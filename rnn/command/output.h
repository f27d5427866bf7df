#pragma once

#include <filesystem>
#include <string_view>

namespace lockstep::command {

/// Writes to standard output. Like flush_output, throws std::system_error if that fails, as on a
/// full disk: a program that succeeds has delivered what it printed.
void print(std::string_view text);
void flush_output();

/// Throws std::runtime_error unless a file can be created or replaced at `path`; `role` names the
/// file in the sentence ("model", "report"). Asked before work begins whose result would be lost.
void require_writable(const std::filesystem::path& path, std::string_view role);

/// Whether both paths name one file, which need not exist; an empty path names none.
[[nodiscard]] bool is_same_file(const std::filesystem::path& a, const std::filesystem::path& b);

}  // namespace lockstep::command
