#include "lockstep/rnn/normalization.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "data/inputs.h"
#include "data/mapped_file.h"
#include "lockstep/error.h"
#include "lockstep/range.h"
#include "lockstep/rnn/dataset.h"

namespace lockstep {
namespace {

template <class Function>
void for_each_value(const Dataset& data, Range sequences, const Function& function) {
  data_file::Readahead ahead(data, sequences);
  for (std::size_t i = sequences.begin; i < sequences.end; ++i) {
    ahead.before(i);
    const std::span<const float> values = data.sequence(i);
    for (std::size_t at = 0; at < values.size(); at += data.channels()) {
      for (std::size_t c = 0; c < data.channels(); ++c) function(c, values[at + c]);
    }
  }
}

}  // namespace

// In two passes for all channels together.
Normalization fit_channels(const Dataset& data, Range sequences) {
  // Differences from the first value, so that a constant channel has a deviation of exactly 0.
  const std::span<const float> origin = data.sequence(sequences.begin);
  double count = 0;
  for (std::size_t i = sequences.begin; i < sequences.end; ++i) {
    count += static_cast<double>(data.length(i));
  }
  std::vector<double> sums(data.channels());
  for_each_value(data, sequences, [&](std::size_t c, float value) {
    sums[c] += static_cast<double>(value) - static_cast<double>(origin[c]);
  });
  std::vector<double> means(data.channels());
  for (std::size_t c = 0; c < means.size(); ++c) {
    means[c] = static_cast<double>(origin[c]) + sums[c] / count;
  }
  std::vector<double> squares(data.channels());
  for_each_value(data, sequences, [&](std::size_t c, float value) {
    const double difference = static_cast<double>(value) - means[c];
    squares[c] += difference * difference;
  });
  Normalization result{.kind = NormalizationKind::channel, .mean = {}, .scale = {}};
  for (std::size_t c = 0; c < means.size(); ++c) {
    const double deviation = std::sqrt(squares[c] / count);
    const bool constant = deviation < static_cast<double>(std::numeric_limits<float>::min());
    result.mean.push_back(static_cast<float>(means[c]));
    result.scale.push_back(constant ? 1.0F : static_cast<float>(1.0 / deviation));
  }
  return result;
}

void require_channels(const Normalization& normalization, const Dataset& data) {
  const std::size_t fitted = normalization.mean.size();
  if (normalization.kind != NormalizationKind::channel || fitted == data.channels()) return;
  throw InvalidArgument("Normalization::apply: the data has " + std::to_string(data.channels()) +
                        " channels, expected " + std::to_string(fitted) + " as in the fit");
}

Normalization Normalization::fit(NormalizationKind kind, const Dataset& data) {
  if (kind != NormalizationKind::channel) return {.kind = kind, .mean = {}, .scale = {}};
  if (data.empty()) throw InvalidArgument("Normalization::fit: the data set is empty");
  return fit_channels(data, {0, data.size()});
}

void Normalization::apply(Dataset& data) const {
  if (kind == NormalizationKind::none) return;
  require_channels(*this, data);
  for (std::size_t i = 0; i < data.size(); ++i) {
    if (kind == NormalizationKind::channel) {
      apply(data.writable_sequence(i));
    } else {
      fit_channels(data, {i, i + 1}).apply(data.writable_sequence(i));
    }
  }
}

void Normalization::apply(std::span<float> timesteps) const {
  if (kind == NormalizationKind::none) return;
  if (kind == NormalizationKind::series) {
    throw InvalidArgument(
        "Normalization::apply: series needs whole sequences, not some of their timesteps");
  }
  if (mean.size() != scale.size()) {  // anyone can fill in the members
    throw InvalidArgument("Normalization::apply: there are " + std::to_string(mean.size()) +
                          " means and " + std::to_string(scale.size()) + " scales");
  }
  const std::size_t channels = mean.size();
  if (channels == 0 || timesteps.size() % channels != 0) {
    throw InvalidArgument("Normalization::apply: " + std::to_string(timesteps.size()) +
                          " values are no whole timesteps of " + std::to_string(channels) +
                          " channels");
  }
  for (std::size_t i = 0; i < timesteps.size(); i += channels) {
    for (std::size_t c = 0; c < channels; ++c) {
      timesteps[i + c] = (timesteps[i + c] - mean[c]) * scale[c];
    }
  }
}

namespace {

// Calls visit(output, target) for every target that is known.
template <class Visit>
void for_each_target(const Dataset& data, const Visit& visit) {
  for (std::size_t i = 0; i < data.size(); ++i) {
    const std::span<const float> targets = data.targets(i);
    for (std::size_t j = 0; j < targets.size(); ++j) {
      if (!std::isnan(targets[j])) visit(j % data.classes(), static_cast<double>(targets[j]));
    }
  }
}

}  // namespace

TargetScale TargetScale::fit(const Dataset& data) {
  std::vector<double> count(data.classes());
  std::vector<double> mean(data.classes());
  std::vector<double> squares(data.classes());
  for_each_target(data, [&](std::size_t j, double target) {
    count[j] += 1;
    mean[j] += target;
  });
  for (std::size_t j = 0; j < count.size(); ++j) mean[j] /= std::max(1.0, count[j]);
  for_each_target(data, [&](std::size_t j, double target) {
    squares[j] += (target - mean[j]) * (target - mean[j]);
  });
  TargetScale result;
  for (std::size_t j = 0; j < count.size(); ++j) {
    const double deviation = std::sqrt(squares[j] / std::max(1.0, count[j]));
    const bool constant = deviation < static_cast<double>(std::numeric_limits<float>::min());
    result.mean.push_back(static_cast<float>(mean[j]));
    result.scale.push_back(constant ? 1.0F : static_cast<float>(deviation));
  }
  return result;
}

void TargetScale::apply(Dataset& data) const {
  for (std::size_t i = 0; i < data.size(); ++i) {
    const std::span<float> targets = data.targets(i);
    for (std::size_t j = 0; j < targets.size(); ++j) {
      targets[j] = (targets[j] - mean[j % mean.size()]) / scale[j % mean.size()];
    }
  }
}

void TargetScale::restore(std::span<float> outputs) const {
  for (std::size_t j = 0; j < outputs.size(); ++j) {
    outputs[j] = outputs[j] * scale[j % mean.size()] + mean[j % mean.size()];
  }
}

}  // namespace lockstep
