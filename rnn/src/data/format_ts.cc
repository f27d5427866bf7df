// The .ts format of the UEA/UCR archives, one line for each sequence; its specification is
// https://www.aeon-toolkit.org/en/stable/api_reference/data_format.html.
#include <algorithm>
#include <cmath>
#include <optional>

#include "data/class_key.h"
#include "data/formats.h"
#include "data/sequence_builder.h"
#include "lookup.h"

namespace lockstep::data_file {
namespace {

struct Header {
  std::optional<std::size_t> channels;
  bool equal_length = false;
  std::optional<std::size_t> length;
  std::optional<bool> labelled;
  bool has_targets = false;  // numbers in the place of labels
  std::vector<std::string> class_names;

  [[nodiscard]] TargetKind kind() const {
    return has_targets ? TargetKind::values : TargetKind::label;
  }
};

using Words = std::vector<std::string>;

Words words_of(std::string_view line) {
  std::string spaced(line);
  std::ranges::replace(spaced, '\t', ' ');
  Words words;
  for (const std::string_view word : split(spaced, ' ')) {
    if (!trim(word).empty()) words.emplace_back(trim(word));
  }
  return words;
}

bool parse_bool(const Words& words, const Place& place) {
  const std::string value = words.size() < 2 ? "" : lower(words[1]);
  if (value != "true" && value != "false") {
    fail(place, words[0] + " is " + in_quotes(value) + ", expected true or false");
  }
  return value == "true";
}

std::size_t parse_count(const Words& words, double least, const Place& place) {
  constexpr double kLargest = 1e9;
  const std::string text = words.size() < 2 ? "" : words[1];
  const double value = parse_number(text).value_or(least - 1);
  if (value < least || value > kLargest || value != std::floor(value)) {
    fail(place, words[0] + " is " + in_quotes(text) + ", expected a whole number of at least 1");
  }
  return value < 1 ? 0 : static_cast<std::size_t>(value);
}

void parse_class_label(const Words& words, const Place& place, Header& header) {
  header.labelled = parse_bool(words, place);
  header.class_names.clear();
  if (*header.labelled) header.class_names.assign(words.begin() + 2, words.end());
  Words keys;
  for (const std::string& name : header.class_names) keys.push_back(class_key(name));
  const std::optional<std::string> twice = repeated(keys);
  if (twice) fail(place, "@classLabel declares " + in_quotes(*twice) + " twice");
}

// One line "@keyword value..."; keywords without a meaning here are passed over.
void parse_header_line(const Lines& lines, Header& header) {
  const Words words = words_of(lines.line());
  const Place& place = lines.place();
  const std::string keyword = lower(words[0]);
  if (!keyword.starts_with('@')) {
    fail(place, "found " + in_quotes(lines.line()) + " before @data, expected a line with @");
  }
  if (keyword == "@timestamps" && parse_bool(words, place)) {
    fail(place, "@timeStamps is true, expected values without time stamps");
  }
  if (keyword == "@targetlabel") header.has_targets = parse_bool(words, place);
  if (keyword == "@univariate" && parse_bool(words, place)) header.channels = 1;
  if (keyword == "@dimensions" || keyword == "@dimension") {
    header.channels = parse_count(words, 1, place);
  }
  if (keyword == "@equallength") header.equal_length = parse_bool(words, place);
  // Files of the archive have 0 or -1 where lengths differ.
  if (keyword == "@serieslength") {
    const std::size_t length = parse_count(words, -1, place);
    if (length > 0) header.length = length;
  }
  if (keyword == "@classlabel") parse_class_label(words, place, header);
}

Header parse_header(Lines& lines) {
  Header header;
  while (lines.next()) {
    if (lower(trim(lines.line())) == "@data") return header;
    parse_header_line(lines, header);
  }
  throw DataError(lines.place().file + ": the file has no @data line, expected a .ts header");
}

// [length][channels] of the parts of a line.
void parse_series(std::span<const std::string_view> series, const Place& place,
                  std::vector<float>& lists, std::vector<float>& values) {
  lists.clear();
  std::size_t length = 0;
  for (std::size_t channel = 0; channel < series.size(); ++channel) {
    const std::size_t before = lists.size();
    const std::string dimension = "dimension " + std::to_string(channel + 1);
    parse_list(series[channel], ',', place, dimension, lists);
    if (channel == 0) length = lists.size();
    if (lists.size() - before != length) {
      fail(place, dimension + " has " + std::to_string(lists.size() - before) +
                      " values, expected " + std::to_string(length) + " as in dimension 1");
    }
  }
  transpose(lists, series.size(), values);
}

void check_length(const Header& header, std::size_t length, const Place& place) {
  const std::size_t expected = header.length.value_or(length);
  if (!header.equal_length || length == expected) return;
  fail(place, "the line has " + std::to_string(length) + " values per dimension, expected " +
                  std::to_string(expected) + " as in @seriesLength");
}

// Takes what follows the last ':' off the parts of a line.
std::string_view take_target(std::vector<std::string_view>& parts, const Place& place) {
  const std::string_view target = trim(parts.back());
  parts.pop_back();
  if (parts.empty()) fail(place, "the line has no ':', expected values and then ':label'");
  return target;
}

}  // namespace

Dataset read_ts(Reading& reading) {
  const std::string text = read_text(reading.path);
  Lines lines(text, reading.path.string(), "#%");
  const Header header = parse_header(lines);
  if (!header.labelled && !header.has_targets) {
    throw DataError(reading.path.string() +
                    ": the header has no @classLabel line, expected true or false");
  }
  const bool has_target = header.has_targets || header.labelled.value_or(false);
  if (has_target) require_kind(reading, header.kind());
  std::optional<SequenceBuilder> builder;
  std::vector<std::string_view> parts;
  std::vector<float> lists;
  std::vector<float> values;
  while (lines.next()) {
    const Place& place = lines.place();
    split(lines.line(), ':', parts);
    const std::string_view target = has_target ? take_target(parts, place) : std::string_view();
    if (!builder) builder.emplace(header.channels.value_or(parts.size()), header.class_names);
    const std::size_t channels = builder->data().channels();
    if (parts.size() != channels) {
      fail(place, "the line has " + std::to_string(parts.size()) + " dimensions, expected " +
                      std::to_string(channels));
    }
    parse_series(parts, place, lists, values);
    check_length(header, values.size() / channels, place);
    require_no_gap(values, channels, reading.options, place);
    builder->add(values);
    if (header.has_targets) {
      const float number = parse_target(target, "the target", place);
      builder->add_targets({&number, 1});
      continue;
    }
    const auto label = present_label(target);
    if (label && !builder->accepts(*label)) {
      fail(place, "label " + in_quotes(*label) + " is not among those of @classLabel");
    }
    builder->add_label(label);
  }
  if (!builder) {
    throw DataError(reading.path.string() + ": there are no sequences after @data");
  }
  return header.has_targets ? builder->build(TargetKind::values, {"target"}) : builder->build();
}

}  // namespace lockstep::data_file
