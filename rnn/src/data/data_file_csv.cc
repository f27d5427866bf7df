#include <algorithm>
#include <cmath>
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
  std::optional<std::size_t> weight;
  std::vector<std::size_t> channels;
  std::vector<std::size_t> targets;  // numbers to be learnt
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

// "target", "target2", "target_2".
bool is_target(std::string_view name) {
  constexpr std::string_view kTarget = "target";
  if (!name.starts_with(kTarget)) return false;
  return name.substr(kTarget.size()).find_first_not_of("_0123456789") == std::string_view::npos;
}

Columns parse_header(const RecordReader& records) {
  const Place& place = records.place();
  Columns columns;
  for (const std::string& field : records.fields()) columns.names.emplace_back(trim(field));
  const auto sample = find_column(columns, "sample", place);
  const auto step = find_column(columns, "step", place);
  columns.label = find_column(columns, "label", place);
  columns.weight = find_column(columns, "sample_weight", place);
  if (!sample || !step) {
    fail(place, "the header has no column '" + std::string(sample ? "step" : "sample") +
                    "', expected sample, step, one column per channel and perhaps label");
  }
  columns.sample = *sample;
  columns.step = *step;
  for (std::size_t i = 0; i < columns.names.size(); ++i) {
    if (i == *sample || i == *step || i == columns.label || i == columns.weight) continue;
    (is_target(columns.names[i]) ? columns.targets : columns.channels).push_back(i);
  }
  if (columns.channels.empty()) fail(place, "the header names no channel beside sample and step");
  return columns;
}

// What a row says of itself beside its values.
struct RowKey {
  std::string sample;
  double step = 0;
  std::optional<std::string> label;
  float weight = 1;
};

float parse_weight(std::string_view text, const Place& place) {
  const std::optional<float> weight = parse_value(text);
  if (weight && *weight >= 0) return *weight;
  fail(place, "the sample_weight is " + in_quotes(text) + ", expected a number of 0 or more");
}

RowKey parse_key(const Columns& columns, const std::vector<std::string>& fields,
                 const Place& place) {
  if (fields.size() != columns.names.size()) {
    fail(place, "the row has " + std::to_string(fields.size()) + " fields, expected " +
                    std::to_string(columns.names.size()) + " as in the header");
  }
  const std::optional<double> step = parse_number(fields[columns.step]);
  if (!step) {
    fail(place, "the step is " + in_quotes(fields[columns.step]) + ", expected a number");
  }
  RowKey key{fields[columns.sample], *step, std::nullopt};
  if (columns.weight) key.weight = parse_weight(fields[*columns.weight], place);
  if (columns.label) key.label = present_label(fields[*columns.label]);
  return key;
}

// `row` is of the same sample as `before`.
void check_continues(const RowKey& before, const RowKey& row, std::string_view step,
                     bool labels_change, const Place& place) {
  if (row.step <= before.step) {
    fail(place, "step " + in_quotes(step) + " of sample " + in_quotes(row.sample) +
                    " does not follow the step before it, expected increasing steps");
  }
  if (row.weight != before.weight) {
    fail(place, "the sample_weight of sample " + in_quotes(row.sample) +
                    " changes, expected one for all of its rows");
  }
  if (row.label != before.label && !labels_change) {
    fail(place, "the label of sample " + in_quotes(row.sample) + " changes from " +
                    in_quotes(before.label.value_or("")) + " to " +
                    in_quotes(row.label.value_or("")) + ", expected one label per sample");
  }
}

void append_values(const Columns& columns, const std::vector<std::string>& fields,
                   const Place& place, std::vector<float>& values) {
  for (const std::size_t column : columns.channels) {
    const std::optional<float> value = parse_value(fields[column]);
    if (!value) fail_value(place, "column " + in_quotes(columns.names[column]), fields[column]);
    values.push_back(*value);
  }
}

// A sample as it is in the file, row by row.
struct Sample {
  std::vector<float> values;                       // [rows][channels]
  std::vector<std::optional<std::string>> labels;  // of each row
  std::vector<float> targets;                      // [rows][targets]
  float weight = 1;
};

std::vector<Sample> read_samples(RecordReader& records, const Columns& columns,
                                 bool labels_change) {
  std::vector<Sample> samples;
  std::unordered_set<std::string> seen;
  RowKey before;
  while (records.next()) {
    RowKey row = parse_key(columns, records.fields(), records.place());
    if (!samples.empty() && row.sample == before.sample) {
      check_continues(before, row, records.fields()[columns.step], labels_change, records.place());
    } else {
      samples.emplace_back();
      if (!seen.insert(row.sample).second) {
        fail(records.place(), "sample " + in_quotes(row.sample) +
                                  " continues after another sample, expected its rows to follow "
                                  "one another");
      }
    }
    Sample& sample = samples.back();
    append_values(columns, records.fields(), records.place(), sample.values);
    for (const std::size_t column : columns.targets) {
      sample.targets.push_back(parse_target(
          records.fields()[column], "column " + in_quotes(columns.names[column]), records.place()));
    }
    sample.labels.push_back(row.label);
    sample.weight = row.weight;
    before = std::move(row);
  }
  return samples;
}

// Whether the numbers of every sample are those of its first row.
bool are_constant(const std::vector<Sample>& samples, std::size_t count) {
  const auto is_same = [](float a, float b) { return a == b || (std::isnan(a) && std::isnan(b)); };
  return std::ranges::all_of(samples, [&](const Sample& sample) {
    for (std::size_t i = count; i < sample.targets.size(); ++i) {
      if (!is_same(sample.targets[i], sample.targets[i - count])) return false;
    }
    return true;
  });
}

Dataset build_numbers(const std::vector<Sample>& samples, const Columns& columns, TargetKind kind) {
  std::vector<std::string> names;
  names.reserve(columns.targets.size());
  for (const std::size_t column : columns.targets) names.push_back(columns.names[column]);
  Dataset data(columns.channels.size(), kind, names);
  for (const Sample& sample : samples) {
    const std::span<const float> targets = sample.targets;
    data.add_values(sample.values, is_of_steps(kind) ? targets : targets.last(names.size()));
  }
  return data;
}

Dataset build_labels(const std::vector<Sample>& samples, const Columns& columns, TargetKind kind) {
  DatasetBuilder builder(columns.channels.size(), {}, kind);
  for (const Sample& sample : samples) {
    if (kind == TargetKind::label) {
      builder.add(sample.values, sample.labels.back());
    } else {
      builder.add_steps(sample.values, sample.labels);
    }
  }
  return builder.build();
}

Dataset build(const std::vector<Sample>& samples, const Columns& columns, TargetKind kind) {
  Dataset data =
      is_label(kind) ? build_labels(samples, columns, kind) : build_numbers(samples, columns, kind);
  for (std::size_t i = 0; i < samples.size(); ++i) data.set_weight(i, samples[i].weight);
  return data;
}

}  // namespace

Dataset read_csv(const std::filesystem::path& path, WantedTargets targets) {
  RecordReader records(path);
  if (!records.next()) throw DataError(path.string() + ": the file is blank, expected a header");
  const Columns columns = parse_header(records);
  // Otherwise the label is one of each sample, or none of the targets.
  const bool labels_change = targets && *targets != TargetKind::label;
  const std::vector<Sample> samples = read_samples(records, columns, labels_change);
  if (samples.empty()) throw DataError(path.string() + ": there are no rows after the header");
  const bool is_constant = are_constant(samples, columns.targets.size());
  const bool has_numbers = !columns.targets.empty();
  const TargetKind numbers = is_constant ? TargetKind::values : TargetKind::step_values;
  const TargetKind kind =
      targets.value_or(has_numbers && !columns.label ? numbers : TargetKind::label);
  if (is_label(kind)) return build(samples, columns, kind);
  if (!has_numbers && !columns.label) return build(samples, columns, TargetKind::label);
  if (!has_numbers) {
    throw DataError(path.string() + ": the header has no column 'target...', which is needed here");
  }
  if (kind == TargetKind::values && !is_constant) {
    throw DataError(path.string() +
                    ": the targets of a sample change, expected the same in each of "
                    "its rows");
  }
  return build(samples, columns, kind);
}

}  // namespace lockstep::data_file
