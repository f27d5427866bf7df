// Text files, whatever they are packed in, and the lines and numbers in them.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "lockstep/rnn/data_file.h"

namespace lockstep::data_file {

// A place in a text file, as messages name it.
struct Place {
  std::string file;
  std::size_t line = 0;
};

// Throws DataError with "file:line: message".
[[noreturn]] void fail(const Place& place, const std::string& message);

// Does work on a file; the sentence of a failure begins with its name.
template <class Work>
auto about_file(const std::string& file, const Work& work) {
  try {
    return work();
  } catch (const std::runtime_error& error) {
    throw DataError(file + ": " + error.what());
  }
}

// Any bytes in quotes for a message: shortened, UTF-8, and without control characters.
std::string in_quotes(std::string_view text);

std::string_view trim(std::string_view text);
std::string lower(std::string_view text);
// The parts between separators: one more than there are separators. In the place of `parts`.
void split(std::string_view text, char separator, std::vector<std::string_view>& parts);
std::vector<std::string_view> split(std::string_view text, char separator);

// The number that the whole text is, as std::from_chars reads it: independent of the locale.
template <typename Number>
std::optional<Number> from_text(std::string_view text) {
  Number value{};
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  const auto [stop, error] = std::from_chars(begin, end, value);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return value;
}

// A finite number in C notation with spaces around it or a plus sign allowed.
std::optional<double> parse_number(std::string_view text);
// The same, within the range of float32.
std::optional<float> parse_value(std::string_view text);
// Whether the text marks a missing value: empty, '?', NaN, or NA as R writes it.
bool is_missing(std::string_view text);
// Throws DataError for a text that is no value; `what` names it.
[[noreturn]] void fail_value(const Place& place, const std::string& what, std::string_view text);

void append_utf8(std::string& text, std::uint32_t code_point);

// Whether the bytes are UTF-8 (RFC 3629).
bool is_utf8(std::string_view text);

// The whole content of a text file as UTF-8: without a byte order mark, from UTF-16 where it begins
// with one, unpacked where it is in gzip's format, whatever its name is. Standard input for "-".
// Throws DataError if it cannot be read, is empty, holds a NUL byte, is not UTF-8, or unpacks to
// more than a multiple of its size.
std::string read_text(const std::filesystem::path& path);

// Steps through the lines of a text that outlives this.
class Lines {
 public:
  // Lines whose first letter is among `comments` are passed over.
  Lines(std::string_view text, std::string file, std::string_view comments = {})
      : rest_(text), place_{std::move(file)}, comments_(comments) {}

  // Goes to the next line that is neither blank nor a comment; false at the end of the file.
  bool next();
  // The current line without its end.
  [[nodiscard]] std::string_view line() const { return line_; }
  [[nodiscard]] const Place& place() const { return place_; }

 private:
  std::string_view rest_;
  std::string_view line_;
  Place place_;
  std::string_view comments_;
};

}  // namespace lockstep::data_file
