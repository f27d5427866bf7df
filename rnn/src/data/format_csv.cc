// Long-form .csv: a header, then one timestep per row.
#include <algorithm>
#include <cmath>
#include <optional>
#include <unordered_set>

#include "data/class_key.h"
#include "data/csv_records.h"
#include "data/date.h"
#include "data/formats.h"
#include "data/sequence_builder.h"
#include "lookup.h"

namespace lockstep::data_file {
namespace {

// Where in a record the parts of a timestep are.
struct Columns {
  std::vector<std::string> names;
  std::size_t sample = 0;
  std::size_t step = 0;
  std::optional<std::size_t> label;
  std::optional<std::size_t> weight;
  std::vector<std::size_t> channels;
  std::vector<std::size_t> targets;  // numbers to be learnt
  bool may_have_commas = false;      // in numbers, as fields end otherwise

  void ignore_targets() {
    label.reset();
    weight.reset();
    targets.clear();
  }
  [[nodiscard]] std::vector<std::string> names_of(std::span<const std::size_t> columns) const {
    std::vector<std::string> result;
    for (const std::size_t column : columns) result.push_back(names[column]);
    return result;
  }
};

// Without regard to case, where no column has just that name.
std::optional<std::size_t> find_column(const Columns& columns, std::string_view name,
                                       const Place& place) {
  std::vector<std::size_t> same;
  std::vector<std::size_t> similar;
  for (std::size_t i = 0; i < columns.names.size(); ++i) {
    if (columns.names[i] == name) same.push_back(i);
    if (lower(columns.names[i]) == name) similar.push_back(i);
  }
  const std::vector<std::size_t>& found = same.empty() ? similar : same;
  if (found.size() > 1) fail(place, "the header has two columns " + in_quotes(name));
  return found.empty() ? std::nullopt : std::optional(found[0]);
}

// "target", "target2", "target_2".
bool is_target(const std::string& name) {
  constexpr std::string_view kTarget = "target";
  const std::string word = lower(name);
  if (!word.starts_with(kTarget)) return false;
  return word.find_first_not_of("_0123456789", kTarget.size()) == std::string::npos;
}

// The numbers of rows as pandas writes them, and again when it writes what it has read, and as R.
bool is_index(const std::string& name) { return name.empty() || name.starts_with("Unnamed: "); }

[[noreturn]] void fail_without(const char* column, const Columns& columns, const Place& place) {
  const bool are_numbers = std::ranges::all_of(
      columns.names, [](const std::string& name) { return parse_number(name).has_value(); });
  fail(place, "the header has no column '" + std::string(column) +
                  "', expected sample, step, one column per channel and perhaps label" +
                  (are_numbers ? "; rows of a label and then all values of a sequence are read "
                                 "from a .tsv or .txt file"
                               : ""));
}

Columns parse_header(const CsvRecords& records, std::vector<std::string>& notes) {
  const Place& place = records.place();
  Columns columns;
  for (const std::string_view field : records.fields()) columns.names.emplace_back(trim(field));
  const auto sample = find_column(columns, "sample", place);
  const auto step = find_column(columns, "step", place);
  columns.label = find_column(columns, "label", place);
  columns.weight = find_column(columns, "sample_weight", place);
  if (!sample) fail_without("sample", columns, place);
  if (!step) fail_without("step", columns, place);
  columns.sample = *sample;
  columns.step = *step;
  std::vector<std::size_t> left_out;
  columns.may_have_commas = records.separator() != ',';
  for (std::size_t i = 0; i < columns.names.size(); ++i) {
    if (i == *sample || i == *step || i == columns.label || i == columns.weight) continue;
    if (is_index(columns.names[i])) {
      left_out.push_back(i + 1);
      continue;
    }
    (is_target(columns.names[i]) ? columns.targets : columns.channels).push_back(i);
  }
  if (columns.channels.empty()) fail(place, "the header names no channel beside sample and step");
  if (const auto twice = repeated(columns.names_of(columns.channels))) {
    fail(place, "the header has two columns " + in_quotes(*twice));
  }
  if (const auto twice = repeated(columns.names_of(columns.targets))) {
    fail(place, "the header has two columns " + in_quotes(*twice));
  }
  if (left_out.size() == 1) {
    notes.push_back("column " + std::to_string(left_out[0]) +
                    " is left out: without a name it is an index of the rows");
  } else if (!left_out.empty()) {
    notes.push_back(std::to_string(left_out.size()) + " columns without a name are left out");
  }
  return columns;
}

// "0,5" where no commas separate the fields.
std::string with_point(std::string_view field, const Columns& columns) {
  std::string text(field);
  if (columns.may_have_commas) std::ranges::replace(text, ',', '.');
  return text;
}

float parse_decimal(std::string_view field, const Columns& columns, std::size_t column,
                    const Place& place) {
  float number = 0;
  if (parse_plain(field, number)) return number;
  return parse_field(with_point(field, columns), place,
                     [&] { return "column " + in_quotes(columns.names[column]); });
}

double parse_step(std::string_view field, const Columns& columns, const Place& place) {
  if (const auto number = from_text<double>(field); number && std::isfinite(*number))
    return *number;
  if (const auto number = parse_number(with_point(field, columns))) return *number;
  if (const auto date = parse_date(field)) return *date;
  fail(place, "the step is " + in_quotes(field) +
                  ", expected a number or a date such as 2024-03-01 12:30:00");
}

// What a row says of itself beside its values.
struct RowKey {
  std::string_view sample;
  double step = 0;
  std::optional<std::string_view> label{};
  float weight = 1;
};

float parse_weight(std::string_view text, const Place& place) {
  const std::optional<float> weight = parse_value(text);
  if (weight && *weight >= 0) return *weight;
  fail(place, "the sample_weight is " + in_quotes(text) + ", expected a number of 0 or more");
}

RowKey parse_key(const Columns& columns, const std::vector<std::string_view>& fields,
                 const Place& place) {
  if (fields.size() != columns.names.size()) {
    const bool is_one_more = fields.size() == columns.names.size() + 1;
    fail(place, "the row has " + std::to_string(fields.size()) + " fields, expected " +
                    std::to_string(columns.names.size()) + " as in the header" +
                    (is_one_more ? "; a decimal comma needs semicolons between the fields, and the "
                                   "row names of R a name in the header"
                                 : ""));
  }
  RowKey key{fields[columns.sample], parse_step(fields[columns.step], columns, place)};
  if (columns.weight)
    key.weight = parse_weight(with_point(fields[*columns.weight], columns), place);
  if (columns.label) key.label = present_label(fields[*columns.label]);
  return key;
}

// The rows of one sample as they are gathered.
struct Sample {
  std::string name;
  double step = 0;
  std::optional<std::string> label{};  // of the first row
  std::string label_key{};             // class_key of it
  float weight = 1;
  std::vector<float> values{};                       // [rows][channels]
  std::vector<float> targets{};                      // [rows][targets]
  std::vector<std::optional<std::string>> labels{};  // of each row, where they may change
  std::vector<std::size_t> lines{};                  // of each row
};

// Reads rows into a builder, sample after sample.
class Reader {
 public:
  Reader(Reading& reading, CsvRecords& records)
      : reading_(reading),
        records_(records),
        columns_(parse_header(records, reading.notes)),
        builder_(columns_.channels.size()) {
    const auto& wanted = reading.options.targets;
    labels_change_ = wanted && *wanted != TargetKind::label;
    if (reading.options.ignores_targets) columns_.ignore_targets();
    if (columns_.label && !columns_.targets.empty() && !wanted) {
      reading.notes.emplace_back(
          "the labels are learnt; with --head regress or regress_steps the targets are");
    }
    builder_.data().set_channel_names(columns_.names_of(columns_.channels));
  }

  Dataset read() {
    std::optional<Sample> sample;
    while (records_.next()) {
      const RowKey row = parse_key(columns_, records_.fields(), records_.place());
      if (sample && row.sample == sample->name) {
        check_continues(*sample, row);
      } else {
        if (sample) finish(*sample);
        sample = begin(row);
      }
      add(*sample, row);
    }
    if (!sample) throw DataError(file() + ": there are no rows after the header");
    finish(*sample);
    reading_.note_ends(builder_);
    return build();
  }

 private:
  [[nodiscard]] std::string file() const { return reading_.path.string(); }

  Sample begin(const RowKey& row) {
    if (!seen_.emplace(row.sample).second) {
      fail(records_.place(), "sample " + in_quotes(row.sample) +
                                 " continues after another sample, expected its rows to follow "
                                 "one another");
    }
    Sample sample{.name = std::string(row.sample)};
    if (row.label) sample.label = std::string(*row.label);
    sample.label_key = class_key(row.label.value_or(""));
    sample.weight = row.weight;
    return sample;
  }

  // `row` is of the same sample as those before.
  void check_continues(const Sample& before, const RowKey& row) const {
    const Place& place = records_.place();
    if (row.step <= before.step) {
      fail(place, "step " + in_quotes(records_.fields()[columns_.step]) + " of sample " +
                      in_quotes(row.sample) +
                      " does not follow the step before it, expected increasing steps");
    }
    if (row.weight != before.weight) {
      fail(place, "the sample_weight of sample " + in_quotes(row.sample) +
                      " changes, expected one for all of its rows");
    }
    const std::string_view label = before.label ? std::string_view(*before.label) : "";
    if (!labels_change_ && row.label.value_or("") != label &&
        class_key(row.label.value_or("")) != before.label_key) {
      fail(place, "the label of sample " + in_quotes(row.sample) + " changes from " +
                      in_quotes(label) + " to " + in_quotes(row.label.value_or("")) +
                      ", expected one label per sample");
    }
  }

  void add(Sample& sample, const RowKey& row) {
    const std::vector<std::string_view>& fields = records_.fields();
    const Place& place = records_.place();
    for (const std::size_t column : columns_.channels) {
      sample.values.push_back(parse_decimal(fields[column], columns_, column, place));
    }
    for (const std::size_t column : columns_.targets) {
      sample.targets.push_back(parse_decimal(fields[column], columns_, column, place));
    }
    if (labels_change_) sample.labels.emplace_back(row.label);
    sample.step = row.step;
    sample.lines.push_back(place.line);
  }

  void finish(const Sample& sample) {
    const std::size_t rows = add_values(sample);
    const std::size_t last = builder_.data().size() - 1;
    builder_.data().set_id(last, sample.name);
    builder_.data().set_weight(last, sample.weight);
    const std::size_t count = columns_.targets.size();
    builder_.add_targets(std::span(sample.targets).first(rows * count));
    for (std::size_t i = count; i < rows * count; ++i) {
      const float a = sample.targets[i];
      const float b = sample.targets[i - count];
      const bool is_same = a == b || (std::isnan(a) && std::isnan(b));
      targets_change_ = targets_change_ || !is_same;
    }
    const auto of_last = std::span(sample.targets).subspan((rows - 1) * count, count);
    last_targets_.insert(last_targets_.end(), of_last.begin(), of_last.end());
    if (labels_change_) {
      for (std::size_t i = 0; i < rows; ++i) builder_.add_label(sample.labels[i]);
    } else {
      builder_.add_label(sample.label);
    }
  }

  // Returns the rows that are left.
  std::size_t add_values(const Sample& sample) {
    const std::size_t channels = columns_.channels.size();
    std::size_t rows = 0;
    try {
      rows = builder_.add(sample.values);
    } catch (const std::invalid_argument&) {
      fail({file(), sample.lines[0]},
           "every value of sample " + in_quotes(sample.name) + " is missing");
    }
    const auto known = std::span(sample.values).first(rows * channels);
    const auto gap = std::ranges::find_if(known, [](float value) { return std::isnan(value); });
    if (gap == known.end() || reading_.options.allow_missing) return rows;
    const auto at = static_cast<std::size_t>(gap - known.begin());
    fail({file(), sample.lines[at / channels]},
         "column " + in_quotes(columns_.names[columns_.channels[at % channels]]) + kIsMissing);
  }

  Dataset build() {
    const bool has_numbers = !columns_.targets.empty();
    const TargetKind numbers = targets_change_ ? TargetKind::step_values : TargetKind::values;
    const TargetKind kind = reading_.options.targets.value_or(
        has_numbers && !columns_.label ? numbers : TargetKind::label);
    if (is_label(kind)) return builder_.build(kind);
    if (!has_numbers) {
      throw DataError(file() + ": the header has no column 'target...', which is needed here");
    }
    if (kind == TargetKind::values && targets_change_) {
      throw DataError(file() +
                      ": the targets of a sample change, expected the same in each of "
                      "its rows");
    }
    std::vector<std::string> names = columns_.names_of(columns_.targets);
    Dataset data = builder_.build(TargetKind::step_values, names);
    if (kind == TargetKind::values) data.set_targets(kind, std::move(names), {}, last_targets_);
    return data;
  }

  Reading& reading_;
  CsvRecords& records_;
  Columns columns_;
  SequenceBuilder builder_;
  std::unordered_set<std::string> seen_;  // samples
  bool labels_change_ = false;            // they may
  bool targets_change_ = false;           // they do
  std::vector<float> last_targets_;       // [samples][targets]
};

}  // namespace

Dataset read_csv(Reading& reading) {
  const std::string text = read_text(reading.path);
  CsvRecords records(text, reading.path.string());
  if (!records.next()) {
    throw DataError(reading.path.string() + ": the file is blank, expected a header");
  }
  return Reader(reading, records).read();
}

}  // namespace lockstep::data_file
