// The .tsv and .txt files of the UCR archive: a label, then the values of one channel.
#include <algorithm>
#include <optional>

#include "data/formats.h"
#include "data/sequence_builder.h"

namespace lockstep::data_file {
namespace {

constexpr char kBlanks = ' ';

// Tabs, commas, semicolons or blanks: the first of these that the row has.
char separator_of(std::string_view line) {
  for (const char separator : {'\t', ',', ';'}) {
    if (line.find(separator) != std::string_view::npos) return separator;
  }
  return kBlanks;
}

// Takes the first field off a row.
std::string_view take_field(std::string_view& rest, char separator) {
  if (separator == kBlanks) rest = trim(rest);
  const std::size_t end = std::min(rest.find(separator), rest.size());
  const std::string_view field = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return field;
}

// Separated by any number of blanks.
void parse_blanks(std::string_view rest, const Place& place, std::vector<float>& values) {
  while (!trim(rest).empty()) {
    const std::string_view field = take_field(rest, kBlanks);
    values.push_back(
        parse_field(field, place, [&] { return "step " + std::to_string(values.size() + 1); }));
  }
}

}  // namespace

Dataset read_rows(Reading& reading) {
  require_kind(reading, TargetKind::label);
  const std::string text = read_text(reading.path);
  Lines lines(text, reading.path.string());
  SequenceBuilder builder(1);
  std::vector<float> values;
  while (lines.next()) {
    const Place& place = lines.place();
    const char separator = separator_of(trim(lines.line()));
    std::string_view rest = lines.line();
    const std::string_view label = take_field(rest, separator);
    values.clear();
    if (separator == kBlanks) {
      parse_blanks(rest, place, values);
    } else if (!rest.empty()) {
      parse_list(rest, separator, place, "", values);
    }
    if (values.empty()) {
      fail(place, "found " + in_quotes(lines.line()) +
                      ", expected a label and values separated by tabs, commas or blanks");
    }
    require_no_gap(values, 1, reading.options, place);
    builder.add(values);
    builder.add_label(reading.options.ignores_targets ? std::nullopt : present_label(label));
  }
  if (builder.empty()) throw DataError(reading.path.string() + ": the file holds no rows");
  reading.note_ends(builder);
  return builder.build();
}

}  // namespace lockstep::data_file
