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

// The dimensions of a line, one list after another; returns their number.
std::size_t parse_series(std::string_view text, const Place& place, std::vector<float>& lists) {
  lists.clear();
  std::size_t dimensions = 0;
  std::size_t length = 0;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(':', begin), text.size());
    const std::size_t before = lists.size();
    const std::string name = "dimension " + std::to_string(++dimensions);
    parse_list(text.substr(begin, end - begin), ',', place, name, lists);
    if (dimensions == 1) length = lists.size();
    if (lists.size() - before != length) {
      fail(place, name + " has " + std::to_string(lists.size() - before) + " values, expected " +
                      std::to_string(length) + " as in dimension 1");
    }
    begin = end + 1;
  }
  return dimensions;
}

void check_length(const Header& header, std::size_t length, const Place& place) {
  const std::size_t expected = header.length.value_or(length);
  if (!header.equal_length || length == expected) return;
  fail(place, "the line has " + std::to_string(length) + " values per dimension, expected " +
                  std::to_string(expected) + " as in @seriesLength");
}

// Takes what follows the last ':' off a line.
std::string_view take_target(std::string_view& line, const Place& place) {
  const std::size_t colon = line.rfind(':');
  if (colon == std::string_view::npos) {
    fail(place, "the line has no ':', expected values and then ':label'");
  }
  const std::string_view target = trim(line.substr(colon + 1));
  line = line.substr(0, colon);
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
  std::vector<float> lists;
  std::vector<float> values;
  while (lines.next()) {
    const Place& place = lines.place();
    std::string_view line = lines.line();
    const std::string_view target = has_target ? take_target(line, place) : std::string_view();
    const std::size_t channels = parse_series(line, place, lists);
    if (!builder) builder.emplace(header.channels.value_or(channels), header.class_names);
    if (channels != builder->data().channels()) {
      fail(place, "the line has " + std::to_string(channels) + " dimensions, expected " +
                      std::to_string(builder->data().channels()));
    }
    check_length(header, lists.size() / channels, place);
    transpose(lists, channels, values);
    require_no_gap(values, channels, reading.options, place);
    builder->add(values);
    add_target(target, header.has_targets, "@classLabel", reading, place, *builder);
  }
  if (!builder) {
    throw DataError(reading.path.string() + ": there are no sequences after @data");
  }
  reading.note_ends(*builder);
  return header.has_targets && !reading.options.ignores_targets
             ? builder->build(TargetKind::values, {"target"})
             : builder->build();
}

}  // namespace lockstep::data_file
