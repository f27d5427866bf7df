// The .arff files of the UEA/UCR archives: one row for each sequence, its values and then its class
// or target; of several channels the values are a relational attribute, a quoted text with a line
// for each channel. https://waikato.github.io/weka-wiki/formats_and_processing/arff_stable/
#include <algorithm>
#include <optional>

#include "data/formats.h"
#include "data/sequence_builder.h"
#include "lookup.h"

namespace lockstep::data_file {
namespace {

struct Header {
  std::size_t attributes = 0;  // outside of relational ones
  bool is_relational = false;
  bool has_target = false;               // the last attribute: a class, or a number,
  bool is_nominal = false;               // if it is one of these
  std::vector<std::string> class_names;  // in this order
};

// Takes a word, which may be in quotes, off a text.
std::string take_word(std::string_view& text, std::string_view ends) {
  text = trim(text);
  if (text.empty()) return "";
  const char quote = text[0];
  const bool is_quoted = quote == '\'' || quote == '"';
  const std::size_t begin = is_quoted ? 1 : 0;
  const std::size_t end =
      std::min(is_quoted ? text.find(quote, 1) : text.find_first_of(ends), text.size());
  std::string word(text.substr(begin, end - begin));
  text.remove_prefix(std::min(end + begin, text.size()));
  return is_quoted ? word : std::string(trim(word));
}

std::vector<std::string> parse_names(std::string_view text, const Place& place) {
  std::vector<std::string> names;
  text = trim(text);
  if (!text.ends_with('}')) fail(place, "the list of classes has no '}' at its end");
  text = text.substr(1, text.size() - 2);
  while (!trim(text).empty()) {
    names.push_back(take_word(text, ","));
    text = trim(text);
    if (text.starts_with(',')) text.remove_prefix(1);
  }
  if (const auto twice = repeated(names)) {
    fail(place, "the class " + in_quotes(*twice) + " is declared twice");
  }
  return names;
}

// "@attribute NAME TYPE" outside of a relational attribute.
void parse_attribute(std::string_view rest, const Place& place, Header& header) {
  const std::string name = lower(take_word(rest, " \t"));
  rest = trim(rest);
  const std::string type = lower(rest);
  ++header.attributes;
  header.is_nominal = rest.starts_with('{');
  header.has_target = header.is_nominal || name == "target" || name == "class" ||
                      (header.is_relational && type != "relational");
  if (header.is_nominal) {
    header.class_names = parse_names(rest, place);
  } else if (type == "relational") {
    header.is_relational = true;
  } else if (type != "numeric" && type != "real" && type != "integer") {
    fail(place, "the attribute " + in_quotes(name) + " is of type " + in_quotes(rest) +
                    ", expected numbers, classes in braces or a relational attribute");
  }
}

Header parse_header(Lines& lines) {
  Header header;
  bool is_within = false;  // a relational attribute
  while (lines.next()) {
    std::string_view rest = lines.line();
    const std::string keyword = lower(take_word(rest, " \t"));
    if (keyword == "@data") return header;
    if (keyword == "@end") is_within = false;
    if (keyword == "@attribute" && !is_within) {
      parse_attribute(rest, lines.place(), header);
      is_within = lower(trim(rest)).ends_with("relational");
    }
    if (!keyword.starts_with('@')) {
      fail(lines.place(),
           "found " + in_quotes(lines.line()) + " before @data, expected a line with @");
    }
  }
  throw DataError(lines.place().file + ": the file has no @data line, expected an .arff header");
}

// One list for each channel, and what follows them.
struct Row {
  std::vector<std::string_view> lists;
  std::string_view target;
};

Row split_relational(std::string_view line, const Place& place) {
  constexpr std::string_view kLineEnd = "\\n";
  Row row;
  line = trim(line);
  const std::size_t end = line.empty() ? line.npos : line.find(line[0], 1);
  if (line.empty() || (line[0] != '\'' && line[0] != '"') || end == line.npos) {
    fail(place, "the row does not begin with a text in quotes, expected its values there");
  }
  std::string_view lists = line.substr(1, end - 1);
  for (std::size_t next = 0; next != lists.npos;) {
    next = lists.find(kLineEnd);
    row.lists.push_back(lists.substr(0, next));
    lists.remove_prefix(std::min(next == lists.npos ? next : next + kLineEnd.size(), lists.size()));
  }
  if (!row.lists.empty() && trim(row.lists.back()).empty()) row.lists.pop_back();
  row.target = trim(line.substr(end + 1));
  if (row.target.starts_with(',')) row.target = trim(row.target.substr(1));
  return row;
}

Row split_row(std::string_view line, const Header& header, const Place& place) {
  if (header.is_relational) return split_relational(line, place);
  if (!header.has_target) return {{line}, ""};
  const std::size_t comma = line.rfind(',');
  if (comma == line.npos) fail(place, "the row has one field, expected values and then a class");
  return {{line.substr(0, comma)}, trim(line.substr(comma + 1))};
}

void require_length(const Header& header, std::size_t length, const Place& place) {
  const std::size_t expected = header.attributes - (header.has_target ? 1 : 0);
  if (header.is_relational || length == expected) return;
  fail(place, "the row has " + std::to_string(length) + " values, expected " +
                  std::to_string(expected) + " as there are attributes");
}

}  // namespace

Dataset read_arff(Reading& reading) {
  const std::string text = read_text(reading.path);
  Lines lines(text, reading.path.string(), "%");
  const Header header = parse_header(lines);
  const bool has_number = header.has_target && !header.is_nominal;
  if (header.has_target) require_kind(reading, has_number ? TargetKind::values : TargetKind::label);
  std::optional<SequenceBuilder> builder;
  std::vector<float> lists;
  std::vector<float> values;
  while (lines.next()) {
    const Place& place = lines.place();
    if (trim(lines.line()).starts_with('{')) fail(place, "sparse rows are not read");
    const Row row = split_row(lines.line(), header, place);
    const std::size_t channels = row.lists.size();
    if (!builder) builder.emplace(channels, header.class_names);
    if (channels != builder->data().channels()) {
      fail(place, "the row has " + std::to_string(channels) + " dimensions, expected " +
                      std::to_string(builder->data().channels()));
    }
    lists.clear();
    for (std::size_t i = 0; i < channels; ++i) {
      const std::size_t before = lists.size();
      parse_list(row.lists[i], ',', place, "dimension " + std::to_string(i + 1), lists);
      if ((lists.size() - before) * (i + 1) != lists.size()) {
        fail(place, "dimension " + std::to_string(i + 1) + " has " +
                        std::to_string(lists.size() - before) +
                        " values, expected as many as in dimension 1");
      }
    }
    require_length(header, lists.size() / channels, place);
    transpose(lists, channels, values);
    require_no_gap(values, channels, reading.options, place);
    builder->add(values);
    if (has_number) {
      const float number = parse_target(row.target, "the target", place);
      builder->add_targets({&number, 1});
      continue;
    }
    std::string_view rest = row.target;
    const std::string label = take_word(rest, ",");
    const bool is_known = !is_missing(label);
    if (is_known && !builder->accepts(label)) {
      fail(place, "label " + in_quotes(label) + " is not among those of its attribute");
    }
    builder->add_label(is_known ? std::optional<std::string_view>(label) : std::nullopt);
  }
  if (!builder) throw DataError(reading.path.string() + ": there are no sequences after @data");
  return has_number ? builder->build(TargetKind::values, {"target"}) : builder->build();
}

}  // namespace lockstep::data_file
