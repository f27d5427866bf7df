#pragma once

// What the readers of data files share; one reader per format.

#include <charconv>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "lockstep/rnn/data_file.h"
#include "lockstep/rnn/dataset.h"

namespace lockstep::data_file {

// The kind of targets to read; none: as the file says.
using WantedTargets = std::optional<TargetKind>;

Dataset read_ts(const std::filesystem::path& path, WantedTargets targets);
Dataset read_tsv(const std::filesystem::path& path, WantedTargets targets);
Dataset read_csv(const std::filesystem::path& path, WantedTargets targets);
Dataset read_npz(const std::filesystem::path& path, WantedTargets targets);

// A place in a text file, as messages name it.
struct Place {
  std::string file;
  std::size_t line = 0;
};

// Throws DataError with "file:line: message".
[[noreturn]] void fail(const Place& place, const std::string& message);

// Throws DataError for a text in which parse_value found no number; `what` names the value.
[[noreturn]] void fail_value(const Place& place, const std::string& what, std::string_view text);

// The text in quotes for a message: shortened, and without control characters.
std::string in_quotes(std::string_view text);

std::string_view trim(std::string_view text);
std::string lower(std::string_view text);
// The parts between separators: one more than there are separators.
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
// Whether the text marks a missing value: empty, '?' or NaN.
bool is_missing(std::string_view text);
// The label that a field holds, or none if it is missing.
std::optional<std::string_view> present_label(std::string_view field);

// A number to be learnt; NaN if it is missing. Otherwise throws DataError; `what` names it.
float parse_target(std::string_view text, const std::string& what, const Place& place);

// A text file's whole content, without a byte order mark. Throws DataError if it cannot be read,
// is empty or holds a NUL byte, as no text does.
std::string read_text(const std::filesystem::path& path);

// Gathers sequences whose labels are texts, of sequences or timesteps, and numbers the classes.
class DatasetBuilder {
 public:
  // With `declared` names the classes are these, in this order. Without, they are those that occur:
  // by value if all are numbers, otherwise by their text.
  explicit DatasetBuilder(std::size_t channels, std::vector<std::string> declared = {},
                          TargetKind kind = TargetKind::label);
  DatasetBuilder(const DatasetBuilder&) = delete;
  DatasetBuilder& operator=(const DatasetBuilder&) = delete;

  // Whether the label is declared, or none were.
  [[nodiscard]] bool accepts(std::string_view label) const {
    return declared_.empty() || names_.contains(label);
  }
  // Appends values [length][channels], unlabelled or with a label that `accepts` accepts.
  void add(std::span<const float> values, std::optional<std::string_view> label);
  // The same with a label for each timestep, or none.
  void add_steps(std::span<const float> values, std::span<const std::optional<std::string>> labels);

  [[nodiscard]] bool empty() const { return sequences_.empty(); }
  [[nodiscard]] Dataset build() const;

 private:
  void add_label(std::optional<std::string_view> label);
  [[nodiscard]] std::vector<std::string> class_names() const;

  Dataset sequences_;  // unlabelled
  TargetKind kind_;
  std::vector<std::string> declared_;
  std::set<std::string, std::less<>> names_;  // of the classes: declared, or met so far
  std::vector<const std::string*> labels_;    // in names_; null if unlabelled
};

}  // namespace lockstep::data_file
