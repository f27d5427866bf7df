// The formats of the UEA/UCR archives, one line for each sequence: .ts, whose specification is
// https://www.aeon-toolkit.org/en/stable/api_reference/data_format.html, and .tsv.

#include <algorithm>
#include <cmath>
#include <sstream>

#include "data/data_file_formats.h"
#include "lookup.h"

namespace lockstep::data_file {
namespace {

// Steps through the lines of a text file.
class LineReader {
 public:
  // Lines that begin with `comment` are passed over.
  explicit LineReader(const std::filesystem::path& path, std::optional<char> comment = {})
      : text_(read_text(path)), place_{path.string()}, comment_(comment) {}

  // Goes to the next line that is neither blank nor a comment; false at the end of the file.
  bool next() {
    while (std::getline(text_, line_)) {
      ++place_.line;
      if (line_.ends_with('\r')) line_.pop_back();
      const std::string_view content = trim(line_);
      if (!content.empty() && content.front() != comment_) return true;
    }
    return false;
  }
  // The current line without its end.
  [[nodiscard]] const std::string& line() const { return line_; }
  [[nodiscard]] const Place& place() const { return place_; }

 private:
  std::istringstream text_;
  std::string line_;
  Place place_;
  std::optional<char> comment_;
};

struct Header {
  std::optional<std::size_t> channels;
  bool equal_length = false;
  std::optional<std::size_t> length;
  std::optional<bool> labelled;
  bool has_targets = false;  // numbers in the place of labels
  std::vector<std::string> class_names;
};

std::vector<std::string> words_of(std::string_view line) {
  std::string spaced(line);
  std::replace(spaced.begin(), spaced.end(), '\t', ' ');
  std::vector<std::string> words;
  for (const std::string_view word : split(spaced, ' ')) {
    if (!trim(word).empty()) words.emplace_back(trim(word));
  }
  return words;
}

bool parse_bool(const std::vector<std::string>& words, const Place& place) {
  const std::string value = words.size() < 2 ? "" : lower(words[1]);
  if (value != "true" && value != "false") {
    fail(place, words[0] + " is " + in_quotes(value) + ", expected true or false");
  }
  return value == "true";
}

std::size_t parse_count(const std::vector<std::string>& words, const Place& place) {
  constexpr double kLargest = 1e9;
  const std::string text = words.size() < 2 ? "" : words[1];
  const double value = parse_number(text).value_or(0);
  if (value < 1 || value > kLargest || value != std::floor(value)) {
    fail(place, words[0] + " is " + in_quotes(text) + ", expected a whole number of at least 1");
  }
  return static_cast<std::size_t>(value);
}

void parse_class_label(const std::vector<std::string>& words, const Place& place, Header& header) {
  header.labelled = parse_bool(words, place);
  header.class_names.clear();
  if (*header.labelled) header.class_names.assign(words.begin() + 2, words.end());
  const std::optional<std::string> twice = repeated(header.class_names);
  if (twice) fail(place, "@classLabel declares " + in_quotes(*twice) + " twice");
}

// One line "@keyword value..."; keywords without a meaning here are passed over.
void parse_header_line(const LineReader& lines, Header& header) {
  const std::vector<std::string> words = words_of(lines.line());
  const std::string keyword = lower(words[0]);
  if (!keyword.starts_with('@')) {
    fail(lines.place(),
         "found " + in_quotes(lines.line()) + " before @data, expected a line with @");
  }
  if (keyword == "@timestamps" && parse_bool(words, lines.place())) {
    fail(lines.place(), "@timeStamps is true, expected values without time stamps");
  }
  if (keyword == "@targetlabel") header.has_targets = parse_bool(words, lines.place());
  if (keyword == "@univariate" && parse_bool(words, lines.place())) header.channels = 1;
  if (keyword == "@dimensions" || keyword == "@dimension") {
    header.channels = parse_count(words, lines.place());
  }
  if (keyword == "@equallength") header.equal_length = parse_bool(words, lines.place());
  if (keyword == "@serieslength") header.length = parse_count(words, lines.place());
  if (keyword == "@classlabel") parse_class_label(words, lines.place(), header);
}

Header parse_header(LineReader& lines) {
  Header header;
  while (lines.next()) {
    if (lower(trim(lines.line())) == "@data") return header;
    parse_header_line(lines, header);
  }
  throw DataError(lines.place().file + ": the file has no @data line, expected a .ts header");
}

// One series per channel, written one after another, becomes [length][channels].
void parse_series(std::span<const std::string_view> series, const Place& place,
                  std::vector<float>& values) {
  values.clear();
  for (std::size_t channel = 0; channel < series.size(); ++channel) {
    const std::string dimension = "dimension " + std::to_string(channel + 1);
    const std::vector<std::string_view> fields = split(series[channel], ',');
    if (channel == 0) values.resize(fields.size() * series.size());
    if (fields.size() * series.size() != values.size()) {
      fail(place, dimension + " has " + std::to_string(fields.size()) + " values, expected " +
                      std::to_string(values.size() / series.size()) + " as in dimension 1");
    }
    for (std::size_t step = 0; step < fields.size(); ++step) {
      const std::optional<float> value = parse_value(fields[step]);
      if (!value) {
        fail_value(place, dimension + ", step " + std::to_string(step + 1), fields[step]);
      }
      values[step * series.size() + channel] = *value;
    }
  }
}

void check_length(const Header& header, std::size_t length, const Place& place) {
  const std::size_t expected = header.length.value_or(length);
  if (!header.equal_length || length == expected) return;
  fail(place, "the line has " + std::to_string(length) + " values per dimension, expected " +
                  std::to_string(expected) + " as in @seriesLength");
}

// Takes the label off the end of the parts of a line; none in an unlabelled set, or if missing.
std::optional<std::string_view> take_label(std::vector<std::string_view>& parts, bool labelled,
                                           const Place& place) {
  if (!labelled) return std::nullopt;
  const std::string_view label = trim(parts.back());
  parts.pop_back();
  if (parts.empty()) fail(place, "the line has no ':', expected values and then ':label'");
  return present_label(label);
}

bool is_padding(std::string_view field) { return lower(trim(field)) == "nan"; }

// The values after the label. UCR 2018 fills short rows with NaN at their end.
void parse_row(std::span<const std::string_view> fields, const Place& place,
               std::vector<float>& values) {
  while (!fields.empty() && is_padding(fields.back())) fields = fields.first(fields.size() - 1);
  if (fields.empty()) fail(place, "the row has no values, expected a label and then values");
  values.clear();
  for (const std::string_view field : fields) {
    const std::optional<float> value = parse_value(field);
    if (!value) fail_value(place, "step " + std::to_string(values.size() + 1), field);
    values.push_back(*value);
  }
}

// The file, or an unlabelled set for which no kind was asked, is of this kind alone.
void require_kind(const std::filesystem::path& path, WantedTargets wanted, TargetKind found) {
  if (!wanted || *wanted == found) return;
  const bool has_numbers = found == TargetKind::values;
  throw DataError(path.string() + ": the file has " + (has_numbers ? "a number" : "a class label") +
                  " for each sequence, expected other targets");
}

}  // namespace

Dataset read_ts(const std::filesystem::path& path, WantedTargets targets) {
  LineReader lines(path, '#');
  const Header header = parse_header(lines);
  if (!header.labelled && !header.has_targets) {
    throw DataError(path.string() + ": the header has no @classLabel line, expected true or false");
  }
  const bool has_targets = header.has_targets;
  const bool has_labels = header.labelled.value_or(false);
  if (has_targets || has_labels) {
    require_kind(path, targets, has_targets ? TargetKind::values : TargetKind::label);
  }
  std::optional<DatasetBuilder> builder;
  std::optional<Dataset> numbers;
  std::size_t channels = header.channels.value_or(0);
  std::vector<float> values;
  while (lines.next()) {
    std::vector<std::string_view> parts = split(lines.line(), ':');
    const auto label = take_label(parts, has_labels || has_targets, lines.place());
    if (channels == 0) channels = parts.size();
    if (parts.size() != channels) {
      fail(lines.place(), "the line has " + std::to_string(parts.size()) +
                              " dimensions, expected " + std::to_string(channels));
    }
    if (!builder) builder.emplace(channels, header.class_names);
    parse_series(parts, lines.place(), values);
    check_length(header, values.size() / channels, lines.place());
    if (has_targets) {
      if (!numbers)
        numbers.emplace(channels, TargetKind::values, std::vector<std::string>{"target"});
      const float target = parse_target(label.value_or(""), "the target", lines.place());
      numbers->add_values(values, {&target, 1});
      continue;
    }
    if (label && !builder->accepts(*label)) {
      fail(lines.place(), "label " + in_quotes(*label) + " is not among those of @classLabel");
    }
    builder->add(values, label);
  }
  if (numbers && !numbers->empty()) return *std::move(numbers);
  if (!builder || builder->empty()) {
    throw DataError(path.string() + ": there are no sequences after @data");
  }
  return builder->build();
}

Dataset read_tsv(const std::filesystem::path& path, WantedTargets targets) {
  require_kind(path, targets, TargetKind::label);
  LineReader lines(path);
  DatasetBuilder builder(1);
  std::vector<float> values;
  while (lines.next()) {
    const char separator = lines.line().find('\t') != std::string_view::npos ? '\t' : ',';
    const std::vector<std::string_view> fields = split(lines.line(), separator);
    if (fields.size() < 2) {
      fail(lines.place(), "found " + in_quotes(lines.line()) +
                              ", expected a label and values separated by tabs or commas");
    }
    parse_row(std::span(fields).subspan(1), lines.place(), values);
    builder.add(values, present_label(fields.front()));
  }
  if (builder.empty()) throw DataError(path.string() + ": the file holds no rows");
  return builder.build();
}

}  // namespace lockstep::data_file
