#include "lockstep/rnn/missing.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <utility>

#include "data/mapped_file.h"
#include "lockstep/error.h"
#include "lockstep/rnn/dataset.h"

namespace lockstep {
namespace {

std::string place_of(const Dataset& data, std::size_t i, std::size_t at) {
  const std::size_t channel = at % data.channels();
  const bool has_name = !data.channel_names().empty();
  return "sequence " + std::to_string(i) + ", timestep " + std::to_string(at / data.channels()) +
         ", channel " +
         (has_name ? "'" + data.channel_names()[channel] + "'" : std::to_string(channel)) +
         " (counted from 0)";
}

void require_numbers(const Dataset& data, bool allow_missing) {
  data_file::Readahead ahead(data);
  for (std::size_t i = 0; i < data.size(); ++i) {
    ahead.before(i);
    const std::span<const float> values = data.sequence(i);
    const auto bad = std::ranges::find_if(values, [&](float value) {
      return std::isinf(value) || (std::isnan(value) && !allow_missing);
    });
    if (bad == values.end()) continue;
    const std::string place = place_of(data, i, static_cast<std::size_t>(bad - values.begin()));
    if (std::isinf(*bad)) throw InvalidArgument(place + " is infinite");
    throw InvalidArgument(place + " is missing (NaN); the option missing says what to do about it");
  }
}

// Of one channel of a sequence, where `mean` is for what nothing is known of.
void carry(std::span<float> values, std::size_t channel, std::size_t channels, float mean) {
  std::size_t first = channel;
  while (first < values.size() && std::isnan(values[first])) first += channels;
  float last = first < values.size() ? values[first] : mean;
  for (std::size_t at = channel; at < values.size(); at += channels) {
    if (std::isnan(values[at])) values[at] = last;
    last = values[at];
  }
}

void fill(Dataset& data, const MissingRule& rule) {
  data_file::Readahead ahead(data);
  for (std::size_t i = 0; i < data.size(); ++i) {
    ahead.before(i);
    const auto is_missing = [](float value) { return std::isnan(value); };
    if (std::ranges::none_of(data.sequence(i), is_missing)) continue;
    const std::span<float> values = data.writable_sequence(i);
    if (rule.kind == MissingKind::mean) {
      for (std::size_t at = 0; at < values.size(); ++at) {
        if (std::isnan(values[at])) values[at] = rule.mean[at % data.channels()];
      }
      continue;
    }
    for (std::size_t c = 0; c < data.channels(); ++c) {
      carry(values, c, data.channels(), rule.mean[c]);
    }
  }
}

std::vector<std::string> names_with_masks(const Dataset& data,
                                          std::span<const std::size_t> masked) {
  std::vector<std::string> names = data.channel_names();
  if (names.empty()) return names;
  for (const std::size_t c : masked) names.push_back(names[c] + " missing");
  return names;
}

// The same data with a channel behind the others for each that is masked.
Dataset with_masks(const Dataset& data, std::span<const std::size_t> masked) {
  Dataset result(data.channels() + masked.size());
  result.reserve(data.size(), data.total_timesteps());
  std::vector<float> targets;
  for (std::size_t i = 0; i < data.size(); ++i) {
    const std::span<const float> from = data.sequence(i);
    std::vector<float> values;
    for (std::size_t at = 0; at < from.size(); at += data.channels()) {
      const std::span<const float> step = from.subspan(at, data.channels());
      values.insert(values.end(), step.begin(), step.end());
      for (const std::size_t c : masked) values.push_back(std::isnan(step[c]) ? 1.0f : 0.0f);
    }
    result.add(values, kNoLabel);
    result.set_weight(i, data.weight(i));
    result.set_id(i, data.id(i));
    if (is_label(data.target_kind())) continue;
    targets.insert(targets.end(), data.targets(i).begin(), data.targets(i).end());
  }
  result.set_targets(data.target_kind(), data.class_names(), data.labels(), std::move(targets));
  result.set_channel_names(names_with_masks(data, masked));
  return result;
}

}  // namespace

MissingRule MissingRule::fit(MissingKind kind, const Dataset& data) {
  MissingRule rule{.kind = kind, .mean = {}, .masked = {}};
  if (kind == MissingKind::fail) return rule;
  std::vector<double> sums(data.channels());
  std::vector<double> counts(data.channels());
  std::vector<bool> has_gaps(data.channels());
  data_file::Readahead ahead(data);
  for (std::size_t i = 0; i < data.size(); ++i) {
    ahead.before(i);
    const std::span<const float> values = data.sequence(i);
    for (std::size_t at = 0; at < values.size(); ++at) {
      const std::size_t c = at % data.channels();
      if (std::isnan(values[at])) {
        has_gaps[c] = true;
      } else {
        sums[c] += static_cast<double>(values[at]);
        counts[c] += 1;
      }
    }
  }
  for (std::size_t c = 0; c < data.channels(); ++c) {
    rule.mean.push_back(static_cast<float>(counts[c] > 0 ? sums[c] / counts[c] : 0));
    if (kind == MissingKind::mask && has_gaps[c]) rule.masked.push_back(c);
  }
  return rule;
}

Dataset MissingRule::apply(Dataset data) const {
  require_numbers(data, kind != MissingKind::fail);
  if (kind == MissingKind::fail) return data;
  if (data.channels() != mean.size()) {
    throw InvalidArgument("the data have " + std::to_string(data.channels()) +
                          " channels, expected " + std::to_string(mean.size()));
  }
  if (!masked.empty()) data = with_masks(data, masked);
  MissingRule whole = *this;
  whole.mean.resize(data.channels());  // masks have no gaps
  fill(data, whole);
  return data;
}

}  // namespace lockstep
