#include <algorithm>
#include <unordered_set>

#include "data/data_file_formats.h"

namespace lockstep::data_file {
namespace {

// Steps through the records of a CSV text (RFC 4180): a quoted field may hold commas, doubled
// quotes and line ends.
class RecordReader {
 public:
  explicit RecordReader(const std::filesystem::path& path)
      : text_(read_text(path)), place_{path.string()} {}

  // Goes to the next record that is not a blank line; false at the end of the file.
  bool next() {
    do {
      if (position_ >= text_.size()) return false;
      place_.line = next_line_;
      fields_.clear();
      while (read_field()) {
      }
      ++next_line_;
    } while (fields_.size() == 1 && trim(fields_[0]).empty());
    return true;
  }

  [[nodiscard]] const std::vector<std::string>& fields() const { return fields_; }
  [[nodiscard]] const Place& place() const { return place_; }  // of the record's first line

 private:
  // Reads a field and the separator after it; false if that ends the record.
  bool read_field() {
    std::string field;
    if (position_ < text_.size() && text_[position_] == '"') field = read_quoted();
    const std::size_t end = std::min(text_.find_first_of(",\n", position_), text_.size());
    field.append(text_, position_, end - position_);
    position_ = end + 1;
    const bool last = end == text_.size() || text_[end] == '\n';
    if (last && field.ends_with('\r')) field.pop_back();
    fields_.push_back(std::move(field));
    return !last;
  }

  // The text between the quote at the current position and its partner.
  std::string read_quoted() {
    std::string field;
    for (++position_; position_ < text_.size(); ++position_) {
      if (text_[position_] == '"') {
        ++position_;
        const bool doubled = position_ < text_.size() && text_[position_] == '"';
        if (!doubled) return field;
      }
      if (text_[position_] == '\n') ++next_line_;
      field.push_back(text_[position_]);
    }
    fail(place_, "a quoted field has no closing quote");
  }

  std::string text_;
  std::size_t position_ = 0;
  std::size_t next_line_ = 1;
  std::vector<std::string> fields_;
  Place place_;
};

// Where in a record the parts of a timestep are.
struct Columns {
  std::vector<std::string> names;
  std::size_t sample = 0;
  std::size_t step = 0;
  std::optional<std::size_t> label;
  std::vector<std::size_t> channels;
};

std::optional<std::size_t> find_column(const Columns& columns, std::string_view name,
                                       const Place& place) {
  const auto first = std::find(columns.names.begin(), columns.names.end(), name);
  if (first == columns.names.end()) return std::nullopt;
  if (std::find(first + 1, columns.names.end(), name) != columns.names.end()) {
    fail(place, "the header has two columns " + in_quotes(name));
  }
  return static_cast<std::size_t>(first - columns.names.begin());
}

Columns parse_header(const RecordReader& records) {
  const Place& place = records.place();
  Columns columns;
  for (const std::string& field : records.fields()) columns.names.emplace_back(trim(field));
  const auto sample = find_column(columns, "sample", place);
  const auto step = find_column(columns, "step", place);
  columns.label = find_column(columns, "label", place);
  if (!sample || !step) {
    fail(place, "the header has no column '" + std::string(sample ? "step" : "sample") +
                    "', expected sample, step, one column per channel and perhaps label");
  }
  columns.sample = *sample;
  columns.step = *step;
  for (std::size_t i = 0; i < columns.names.size(); ++i) {
    if (i != *sample && i != *step && i != columns.label) columns.channels.push_back(i);
  }
  if (columns.channels.empty()) fail(place, "the header names no channel beside sample and step");
  return columns;
}

// Puts the rows of one sample after another together.
class SampleAssembler {
 public:
  explicit SampleAssembler(Columns columns)
      : columns_(std::move(columns)), builder_(columns_.channels.size()) {}

  void add_row(const std::vector<std::string>& fields, const Place& place) {
    if (fields.size() != columns_.names.size()) {
      fail(place, "the row has " + std::to_string(fields.size()) + " fields, expected " +
                      std::to_string(columns_.names.size()) + " as in the header");
    }
    const double step = parse_step(fields, place);
    if (values_.empty() || fields[columns_.sample] != sample_) {
      start_sample(fields, place);
    } else {
      check_continues(fields, step, place);
    }
    step_ = step;
    append_values(fields, place);
  }

  Dataset finish(const std::filesystem::path& path) {
    if (values_.empty()) throw DataError(path.string() + ": there are no rows after the header");
    finish_sample();
    return builder_.build();
  }

 private:
  [[nodiscard]] double parse_step(const std::vector<std::string>& fields,
                                  const Place& place) const {
    const std::string& text = fields[columns_.step];
    const std::optional<double> step = parse_number(text);
    if (!step) fail(place, "the step is " + in_quotes(text) + ", expected a number");
    return *step;
  }

  [[nodiscard]] std::optional<std::string> label_of(const std::vector<std::string>& fields) const {
    if (!columns_.label) return std::nullopt;
    const auto label = present_label(fields[*columns_.label]);
    return label ? std::optional<std::string>(*label) : std::nullopt;
  }

  void start_sample(const std::vector<std::string>& fields, const Place& place) {
    if (!values_.empty()) finish_sample();
    sample_ = fields[columns_.sample];
    if (!seen_.insert(sample_).second) {
      fail(place, "sample " + in_quotes(sample_) +
                      " goes on after another sample, expected its rows to stand together");
    }
    label_ = label_of(fields);
  }

  void finish_sample() {
    builder_.add(values_, label_);
    values_.clear();
  }

  void check_continues(const std::vector<std::string>& fields, double step,
                       const Place& place) const {
    if (step <= step_) {
      fail(place, "step " + in_quotes(fields[columns_.step]) + " of sample " + in_quotes(sample_) +
                      " does not follow the step before it, expected increasing steps");
    }
    const std::optional<std::string> label = label_of(fields);
    if (label != label_) {
      fail(place, "the label of sample " + in_quotes(sample_) + " changes from " +
                      in_quotes(label_.value_or("")) + " to " + in_quotes(label.value_or("")) +
                      ", expected one label per sample");
    }
  }

  void append_values(const std::vector<std::string>& fields, const Place& place) {
    for (const std::size_t column : columns_.channels) {
      const std::optional<float> value = parse_value(fields[column]);
      if (!value) fail_value(place, "column " + in_quotes(columns_.names[column]), fields[column]);
      values_.push_back(*value);
    }
  }

  Columns columns_;
  DatasetBuilder builder_;
  std::unordered_set<std::string> seen_;
  std::string sample_;
  std::optional<std::string> label_;
  double step_ = 0;
  std::vector<float> values_;  // of the current sample, [rows so far][channels]
};

}  // namespace

Dataset read_csv(const std::filesystem::path& path) {
  RecordReader records(path);
  if (!records.next()) throw DataError(path.string() + ": the file is blank, expected a header");
  SampleAssembler samples(parse_header(records));
  while (records.next()) samples.add_row(records.fields(), records.place());
  return samples.finish(path);
}

}  // namespace lockstep::data_file
