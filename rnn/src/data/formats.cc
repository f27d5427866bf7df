#include "data/formats.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

namespace lockstep::data_file {

namespace {

// Numbers such as -0.4463745: a whole number below 2^53 and a power of ten up to 22 are exact, so
// their product or quotient is the number, rounded once (Clinger 1990). False for all others.
bool parse_short(std::string_view text, double& number) {
  constexpr std::size_t kMostDigits = 15;
  constexpr std::array kPowers = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                  1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
  const bool is_negative = text.starts_with('-');
  if (is_negative) text.remove_prefix(1);
  std::uint64_t digits = 0;
  std::size_t places = 0;  // behind the point
  std::size_t points = 0;
  for (const char c : text) {
    const auto digit = static_cast<unsigned char>(c - '0');
    if (digit < 10) {
      digits = 10 * digits + digit;
      places += points;
    } else if (c == '.' && points == 0) {
      points = 1;
    } else {
      return false;
    }
  }
  const std::size_t count = text.size() - points;
  if (count == 0 || count > kMostDigits) return false;
  const double size = static_cast<double>(digits) / kPowers[places];
  number = is_negative ? -size : size;
  return true;
}

}  // namespace

bool parse_plain(std::string_view text, float& number) {
  double value = 0;
  if (!parse_short(text, value)) {
    const std::optional<double> exact = from_text<double>(text);
    if (!exact) return false;
    value = *exact;
  }
  number = static_cast<float>(value);
  // Not for infinities and NaN, which from_chars reads too.
  return std::abs(value) <= std::numeric_limits<float>::max();
}

void parse_list(std::string_view text, char separator, const Place& place, const std::string& what,
                std::vector<float>& values) {
  const std::size_t before = values.size();
  const auto name = [&] {
    return (what.empty() ? "" : what + ", ") + "step " + std::to_string(values.size() - before + 1);
  };
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(separator, begin), text.size());
    values.push_back(parse_field(text.substr(begin, end - begin), place, name));
    begin = end + 1;
  }
}

float parse_target(std::string_view text, const std::string& what, const Place& place) {
  return parse_field(text, place, [&] { return what; });
}

void add_target(std::string_view field, bool is_number, const char* declared_by,
                const Reading& reading, const Place& place, SequenceBuilder& builder) {
  if (reading.options.ignores_targets) return builder.add_label(std::nullopt);
  if (is_number) {
    const float number = parse_target(field, "the target", place);
    return builder.add_targets({&number, 1});
  }
  const auto label = present_label(field);
  if (label && !builder.accepts(*label)) {
    fail(place, "label " + in_quotes(*label) + " is not among those of " + declared_by);
  }
  builder.add_label(label);
}

void transpose(std::span<const float> lists, std::size_t channels, std::vector<float>& values) {
  const std::size_t length = lists.size() / channels;
  values.resize(lists.size());
  for (std::size_t channel = 0; channel < channels; ++channel) {
    for (std::size_t step = 0; step < length; ++step) {
      values[step * channels + channel] = lists[channel * length + step];
    }
  }
}

void require_no_gap(std::span<const float> values, std::size_t channels, const ReadOptions& options,
                    const Place& place) {
  const auto is_missing = [](float value) { return std::isnan(value); };
  const auto last = std::find_if_not(values.rbegin(), values.rend(), is_missing);
  if (last == values.rend()) fail(place, "the line has no values: all are missing");
  const auto known = static_cast<std::size_t>(values.rend() - last);
  const std::size_t end = (known + channels - 1) / channels * channels;
  const auto gap =
      std::find_if(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(end), is_missing);
  const auto at = static_cast<std::size_t>(gap - values.begin());
  if (at >= end || options.allow_missing) return;
  const std::string dimension =
      channels == 1 ? "" : "dimension " + std::to_string(at % channels + 1) + ", ";
  fail(place, dimension + "step " + std::to_string(at / channels + 1) + kIsMissing);
}

void require_kind(const Reading& reading, TargetKind found) {
  const std::optional<TargetKind>& wanted = reading.options.targets;
  if (!wanted || *wanted == found || reading.options.ignores_targets) return;
  const bool has_numbers = found == TargetKind::values;
  throw DataError(reading.path.string() + ": the file has " +
                  (has_numbers ? "a number" : "a class label") +
                  " for each sequence, expected other targets");
}

}  // namespace lockstep::data_file
