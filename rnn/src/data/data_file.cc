#include "lockstep/rnn/data_file.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <limits>
#include <unordered_map>
#include <utility>

#include "data/data_file_formats.h"
#include "lookup.h"

namespace lockstep {
namespace {

using data_file::WantedTargets;

struct Format {
  std::string_view extension;
  Dataset (*read)(const std::filesystem::path& path, WantedTargets targets);
};

constexpr std::array kFormats = {
    Format{".ts", data_file::read_ts},   Format{".tsv", data_file::read_tsv},
    Format{".txt", data_file::read_tsv}, Format{".npz", data_file::read_npz},
    Format{".csv", data_file::read_csv},
};

void check_file(const std::filesystem::path& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) {
    throw DataError(path.string() + ": the file does not exist or is out of reach");
  }
  if (!std::filesystem::is_regular_file(status)) {
    throw DataError(path.string() + ": not a regular file, expected a data file");
  }
  if (std::filesystem::file_size(path, error) == 0) {
    throw DataError(path.string() + ": the file is empty");
  }
}

}  // namespace

Dataset read_dataset(const std::filesystem::path& path, std::optional<TargetKind> targets) {
  check_file(path);
  const std::string extension = data_file::lower(path.extension().string());
  const auto* const format = std::ranges::find(kFormats, extension, &Format::extension);
  if (format != kFormats.end()) return format->read(path, targets);
  throw DataError(path.string() + ": unknown extension '" + extension + "', expected one of " +
                  listed(kFormats, &Format::extension));
}

// A label for each row refuses least of what a .csv can have.
Dataset read_sequences(const std::filesystem::path& path) {
  const bool is_csv = data_file::lower(path.extension().string()) == ".csv";
  return is_csv ? read_dataset(path, TargetKind::step_labels) : read_dataset(path);
}

namespace data_file {

#ifndef LOCKSTEP_HAVE_ZLIB
Dataset read_npz(const std::filesystem::path& path, WantedTargets) {
  throw DataError(path.string() + ": this build cannot read .npz files, as it is without zlib");
}
#endif

void fail(const Place& place, const std::string& message) {
  throw DataError(place.file + ":" + std::to_string(place.line) + ": " + message);
}

void fail_value(const Place& place, const std::string& what, std::string_view text) {
  if (is_missing(text)) {
    fail(place, what + " is missing (" + in_quotes(text) + "), expected a number in every place");
  }
  fail(place, what + " is " + in_quotes(text) + ", expected a finite float32 number");
}

std::string in_quotes(std::string_view text) {
  constexpr std::size_t kMaxShown = 40;
  std::string shown(text.substr(0, kMaxShown));
  const auto is_control = [](unsigned char c) { return c < 0x20 || c == 0x7f; };
  std::replace_if(shown.begin(), shown.end(), is_control, '?');
  return "'" + shown + (text.size() > kMaxShown ? "...'" : "'");
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpaces = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kSpaces);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpaces) - first + 1);
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  std::size_t start = 0;
  for (std::size_t end; (end = text.find(separator, start)) != std::string_view::npos;
       start = end + 1) {
    parts.push_back(text.substr(start, end - start));
  }
  parts.push_back(text.substr(start));
  return parts;
}

std::optional<double> parse_number(std::string_view text) {
  text = trim(text);
  if (text.starts_with('+')) text.remove_prefix(1);
  const std::optional<double> value = from_text<double>(text);
  return value && std::isfinite(*value) ? value : std::nullopt;
}

std::optional<float> parse_value(std::string_view text) {
  const std::optional<double> number = parse_number(text);
  if (!number || std::abs(*number) > std::numeric_limits<float>::max()) return std::nullopt;
  return static_cast<float>(*number);
}

bool is_missing(std::string_view text) {
  const std::string word = lower(trim(text));
  return word.empty() || word == "?" || word == "nan" || word == "-nan";
}

std::optional<std::string_view> present_label(std::string_view field) {
  return is_missing(field) ? std::nullopt : std::optional(trim(field));
}

std::string read_text(const std::filesystem::path& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  std::ifstream file(path, std::ios::binary);
  if (error || !file) throw DataError(path.string() + ": the file cannot be opened for reading");
  std::string text(size, '\0');
  if (!file.read(text.data(), static_cast<std::streamsize>(size))) {
    throw DataError(path.string() + ": the file cannot be read to its end");
  }
  if (text.find('\0') != std::string::npos) {
    throw DataError(path.string() + ": the file holds NUL bytes, expected text (UTF-8)");
  }
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (text.starts_with(kByteOrderMark)) text.erase(0, kByteOrderMark.size());
  return text;
}

float parse_target(std::string_view text, const std::string& what, const Place& place) {
  if (is_missing(text)) return std::numeric_limits<float>::quiet_NaN();
  const std::optional<float> value = parse_value(text);
  if (!value) fail_value(place, what, text);
  return *value;
}

DatasetBuilder::DatasetBuilder(std::size_t channels, std::vector<std::string> declared,
                               TargetKind kind)
    : sequences_(channels),
      kind_(kind),
      declared_(std::move(declared)),
      names_(declared_.begin(), declared_.end()) {}

void DatasetBuilder::add(std::span<const float> values, std::optional<std::string_view> label) {
  sequences_.add(values, kNoLabel);
  add_label(label);
}

void DatasetBuilder::add_steps(std::span<const float> values,
                               std::span<const std::optional<std::string>> labels) {
  sequences_.add(values, kNoLabel);
  for (const auto& label : labels) add_label(label);
}

void DatasetBuilder::add_label(std::optional<std::string_view> label) {
  labels_.push_back(nullptr);
  if (!label) return;
  auto name = names_.find(*label);
  if (name == names_.end()) name = names_.emplace(*label).first;
  labels_.back() = &*name;
}

std::vector<std::string> DatasetBuilder::class_names() const {
  if (!declared_.empty()) return declared_;
  std::vector<std::string> names(names_.begin(), names_.end());
  const auto is_number = [](const std::string& name) { return parse_number(name).has_value(); };
  if (!std::ranges::all_of(names, is_number)) return names;
  std::ranges::sort(names, {}, [](const std::string& name) {
    return std::pair(parse_number(name), std::string_view(name));
  });
  return names;
}

Dataset DatasetBuilder::build() const {
  Dataset result(sequences_.channels(), kind_, class_names());
  std::unordered_map<std::string_view, int> numbers;
  for (const std::string& name : result.class_names()) {
    numbers.emplace(name, static_cast<int>(numbers.size()));
  }
  std::vector<int> labels;
  labels.reserve(labels_.size());
  for (const std::string* label : labels_) {
    labels.push_back(label == nullptr ? kNoLabel : numbers.at(*label));
  }
  for (std::size_t i = 0; i < sequences_.size(); ++i) {
    if (kind_ == TargetKind::label) {
      result.add(sequences_.sequence(i), labels[i]);
    } else {
      result.add_steps(
          sequences_.sequence(i),
          std::span(labels).subspan(sequences_.first_timestep(i), sequences_.length(i)));
    }
  }
  return result;
}

}  // namespace data_file
}  // namespace lockstep
