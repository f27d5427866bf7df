#include <cmath>
#include <limits>
#include <string>

#include "lockstep/error.h"
#include "lockstep/rnn/dataset.h"
#include "lockstep/rnn/model.h"

namespace lockstep {
namespace {

// Sequences [first, last) of a data set.
struct Range {
  std::size_t first;
  std::size_t last;
};

template <class Data, class Function>
void for_each_value(Data& data, Range range, std::size_t channel, Function function) {
  for (std::size_t i = range.first; i < range.last; ++i) {
    const auto values = data.sequence(i);
    for (std::size_t at = channel; at < values.size(); at += data.channels()) function(values[at]);
  }
}

struct Standard {
  float mean;
  float scale;
};

Standard standard_of(const Dataset& data, Range range, std::size_t channel) {
  // Differences from the first value, so that a constant channel has a deviation of exactly 0.
  const double origin = data.sequence(range.first)[channel];
  double sum = 0;
  double count = 0;
  for_each_value(data, range, channel, [&](float value) {
    sum += value - origin;
    count += 1;
  });
  const double mean = origin + sum / count;
  double squares = 0;
  for_each_value(data, range, channel,
                 [&](float value) { squares += (value - mean) * (value - mean); });
  const double deviation = std::sqrt(squares / count);
  const bool constant = deviation < std::numeric_limits<float>::min();
  return {static_cast<float>(mean), constant ? 1.0F : static_cast<float>(1.0 / deviation)};
}

float standardized(float value, Standard standard) {
  return (value - standard.mean) * standard.scale;
}

// A Normalization is a plain structure, which anyone can fill in.
void require_agreement(const std::vector<float>& mean, const std::vector<float>& scale) {
  if (mean.size() == scale.size()) return;
  throw InvalidArgument("Normalization::apply: there are " + std::to_string(mean.size()) +
                        " means and " + std::to_string(scale.size()) + " scales");
}

void standardize_on_its_own(Dataset& data, std::size_t sequence) {
  const Range one{sequence, sequence + 1};
  for (std::size_t channel = 0; channel < data.channels(); ++channel) {
    const Standard standard = standard_of(data, one, channel);
    for_each_value(data, one, channel,
                   [&](float& value) { value = standardized(value, standard); });
  }
}

}  // namespace

Normalization Normalization::fit(NormalizationKind kind, const Dataset& data) {
  Normalization result;
  result.kind = kind;
  if (kind != NormalizationKind::channel) return result;
  if (data.empty()) throw InvalidArgument("Normalization::fit: the data set is empty");
  for (std::size_t channel = 0; channel < data.channels(); ++channel) {
    const Standard standard = standard_of(data, {0, data.size()}, channel);
    result.mean.push_back(standard.mean);
    result.scale.push_back(standard.scale);
  }
  return result;
}

void Normalization::apply(Dataset& data) const {
  if (kind == NormalizationKind::none) return;
  if (kind == NormalizationKind::channel && mean.size() != data.channels()) {
    throw InvalidArgument("Normalization::apply: the data has " + std::to_string(data.channels()) +
                          " channels, expected " + std::to_string(mean.size()) + " as in the fit");
  }
  for (std::size_t i = 0; i < data.size(); ++i) {
    if (kind == NormalizationKind::channel) {
      apply(data.sequence(i));
    } else {
      standardize_on_its_own(data, i);
    }
  }
}

void Normalization::apply(std::span<float> timesteps) const {
  if (kind == NormalizationKind::none) return;
  if (kind == NormalizationKind::series) {
    throw InvalidArgument(
        "Normalization::apply: series needs whole sequences, not some of their timesteps");
  }
  require_agreement(mean, scale);
  const std::size_t channels = mean.size();
  if (channels == 0 || timesteps.size() % channels != 0) {
    throw InvalidArgument("Normalization::apply: " + std::to_string(timesteps.size()) +
                          " values are no whole timesteps of " + std::to_string(channels) +
                          " channels");
  }
  for (std::size_t i = 0; i < timesteps.size(); i += channels) {
    for (std::size_t c = 0; c < channels; ++c) {
      timesteps[i + c] = standardized(timesteps[i + c], {mean[c], scale[c]});
    }
  }
}

}  // namespace lockstep
