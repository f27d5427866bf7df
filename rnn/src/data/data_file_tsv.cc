#include "data/data_file_formats.h"

namespace lockstep::data_file {
namespace {

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

}  // namespace

Dataset read_tsv(const std::filesystem::path& path) {
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
