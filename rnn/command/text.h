#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace lockstep::command {

/// Writes to standard output. Like flush_output, throws std::system_error if that fails, as on a
/// full disk: a program that succeeds has delivered what it printed.
void print(std::string_view text);
void flush_output();

/// Writes a message of the command to standard error, without control characters.
void say(const std::string& text);
/// Whether print and say write nothing from now on.
void set_silent(bool is_silent);

/// As std::snprintf, for as long a text as it takes.
[[nodiscard, gnu::format(printf, 1, 2)]] std::string format(const char* pattern, ...);

/// The text with '?' for control characters, which could steer a terminal: class names and paths
/// come from anyone.
[[nodiscard]] std::string printable(std::string text);

/// UTF-8 text with spaces appended up to `width` characters.
[[nodiscard]] std::string pad(std::string_view text, std::size_t width);

/// Characters (code points) of UTF-8 text.
[[nodiscard]] std::size_t text_width(std::string_view text);

/// A count for people: "950", "38.2 k", "3.91 M".
[[nodiscard]] std::string with_unit(double count);

/// The form in which hashes of weights are shown: 16 hexadecimal digits.
[[nodiscard]] std::string hash_text(unsigned long long hash);

/// The flag of an option of Options: "--learning-rate".
[[nodiscard]] std::string flag_of(std::string_view name);

/// A ratio or loss for people: "0.9833", or "-" where it is undefined.
[[nodiscard]] std::string number_text(double value);

/// "1 epoch", "3 epochs".
[[nodiscard]] std::string counted(std::size_t count, const char* thing);

}  // namespace lockstep::command
