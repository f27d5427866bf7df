// The .arff files of the UEA/UCR archives: one row for each sequence, its values and then its class
// or target; of several channels the values are a relational attribute, a quoted text with a line
// for each channel. https://waikato.github.io/weka-wiki/formats_and_processing/arff_stable/
#include <algorithm>
#include <optional>

#include "data/class_key.h"
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

bool is_quote(char c) { return c == '\'' || c == '"'; }

// Where a word ends that begins at the start of a text: at one of `ends`, but not within quotes.
std::size_t end_of_word(std::string_view text, std::string_view ends) {
  char quote = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (quote != 0 && text[i] == '\\') {
      ++i;
    } else if (quote != 0) {
      if (text[i] == quote) quote = 0;
    } else if (is_quote(text[i])) {
      quote = text[i];
    } else if (ends.find(text[i]) != std::string_view::npos) {
      return i;
    }
  }
  return text.size();
}

// Without quotes, and with what backslashes stand for in them.
std::string unquoted(std::string_view word) {
  word = trim(word);
  if (word.size() < 2 || !is_quote(word[0]) || word.back() != word[0]) return std::string(word);
  std::string text;
  for (std::size_t i = 1; i + 1 < word.size(); ++i) {
    if (word[i] == '\\' && i + 2 < word.size()) ++i;
    text.push_back(word[i]);
  }
  return text;
}

// Takes a word off the front of a text.
std::string take_word(std::string_view& text, std::string_view ends) {
  text = trim(text);
  const std::size_t end = end_of_word(text, ends);
  const std::string word = unquoted(text.substr(0, end));
  text.remove_prefix(end);
  return word;
}

std::vector<std::string> parse_names(std::string_view text, const Place& place) {
  std::vector<std::string> names;
  std::vector<std::string> keys;
  const std::size_t end = end_of_word(text, "}");
  if (end == text.size()) fail(place, "the list of classes has no '}' at its end");
  text = text.substr(1, end - 1);
  while (!trim(text).empty()) {
    names.push_back(take_word(text, ","));
    keys.push_back(class_key(names.back()));
    if (text.starts_with(',')) text.remove_prefix(1);
  }
  if (const auto twice = repeated(std::move(keys))) {
    fail(place, "the class " + in_quotes(*twice) + " is declared twice");
  }
  return names;
}

// "@attribute NAME TYPE" outside of a relational attribute; true for one of these.
bool parse_attribute(std::string_view rest, const Place& place, Header& header) {
  if (header.is_nominal) {
    fail(place, "the attribute before is a class, expected that of the last alone");
  }
  const std::string name = lower(take_word(rest, " \t"));
  rest = trim(rest);
  const std::string type = lower(rest.substr(0, rest.find_first_of(" \t[")));
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
  return type == "relational";
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
      is_within = parse_attribute(rest, lines.place(), header);
    }
    if (!keyword.starts_with('@')) {
      fail(lines.place(),
           "found " + in_quotes(lines.line()) + " before @data, expected a line with @");
    }
  }
  throw DataError(lines.place().file + ": the file has no @data line, expected an .arff header");
}

// A row: its values, one list for each channel, and what follows them.
struct Row {
  std::size_t channels = 0;
  std::vector<float> lists;
  std::string target;
};

// "1,2\n3,4": the lines are separated by a backslash and an n.
void parse_relation(std::string_view text, const Place& place, Row& row) {
  constexpr std::string_view kLineEnd = "\\n";
  std::size_t length = 0;
  text = trim(text);  // once, as each line looks at the end
  while (!trim(text).empty()) {
    const std::size_t end = std::min(text.find(kLineEnd), text.size());
    const std::size_t before = row.lists.size();
    const std::string name = "dimension " + std::to_string(++row.channels);
    parse_list(text.substr(0, end), ',', place, name, row.lists);
    if (row.channels == 1) length = row.lists.size();
    if (row.lists.size() - before != length) {
      fail(place, name + " has " + std::to_string(row.lists.size() - before) +
                      " values, expected " + std::to_string(length) + " as in dimension 1");
    }
    text.remove_prefix(std::min(end + kLineEnd.size(), text.size()));
  }
  if (row.channels == 0) fail(place, "the row has no values");
}

Row parse_relational(std::string_view line, const Place& place) {
  Row row;
  line = trim(line);
  if (line.empty() || !is_quote(line[0])) {
    fail(place, "the row does not begin with a text in quotes, expected its values there");
  }
  const std::size_t end = end_of_word(line, ",\t");
  const std::string_view quoted = trim(line.substr(0, end));
  if (quoted.size() < 2 || quoted.back() != line[0]) {
    fail(place, "the text in quotes has no end");
  }
  parse_relation(quoted.substr(1, quoted.size() - 2), place, row);
  line.remove_prefix(std::min(end + 1, line.size()));
  row.target = take_word(line, ",\t%");
  return row;
}

Row parse_flat(std::string_view line, const Header& header, const Place& place) {
  Row row{.channels = 1, .lists = {}, .target = {}};
  const std::size_t values = header.attributes - (header.has_target ? 1 : 0);
  const auto name = [&] { return "step " + std::to_string(row.lists.size() + 1); };
  bool is_over = false;
  while (!is_over) {
    const std::size_t end = end_of_word(line, ",\t%");
    const std::string_view field = line.substr(0, end);
    is_over = end == line.size() || line[end] == '%';  // a comment follows
    line.remove_prefix(std::min(end + 1, line.size()));
    if (is_over && header.has_target) {
      row.target = unquoted(field);
    } else {
      row.lists.push_back(parse_field(field, place, name));
    }
  }
  if (row.lists.size() == values) return row;
  fail(place, "the row has " + std::to_string(row.lists.size()) + " values, expected " +
                  std::to_string(values) + " as there are attributes");
}

}  // namespace

Dataset read_arff(Reading& reading) {
  const std::string text = read_text(reading.path);
  Lines lines(text, reading.path.string(), "%");
  const Header header = parse_header(lines);
  const bool has_number = header.has_target && !header.is_nominal;
  if (header.has_target) require_kind(reading, has_number ? TargetKind::values : TargetKind::label);
  std::optional<SequenceBuilder> builder;
  std::vector<float> values;
  while (lines.next()) {
    const Place& place = lines.place();
    if (trim(lines.line()).starts_with('{')) fail(place, "sparse rows are not read");
    const Row row = header.is_relational ? parse_relational(lines.line(), place)
                                         : parse_flat(lines.line(), header, place);
    if (!builder) builder.emplace(row.channels, header.class_names);
    if (row.channels != builder->data().channels()) {
      fail(place, "the row has " + std::to_string(row.channels) + " dimensions, expected " +
                      std::to_string(builder->data().channels()));
    }
    transpose(row.lists, row.channels, values);
    require_no_gap(values, row.channels, reading.options, place);
    builder->add(values);
    add_target(row.target, has_number, "its attribute", reading, place, *builder);
  }
  if (!builder) throw DataError(reading.path.string() + ": there are no sequences after @data");
  reading.note_ends(*builder);
  return has_number && !reading.options.ignores_targets
             ? builder->build(TargetKind::values, {"target"})
             : builder->build();
}

}  // namespace lockstep::data_file
