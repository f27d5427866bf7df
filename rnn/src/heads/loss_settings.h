// What the losses of a training depend on beside outputs and targets.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "lockstep/rnn/dataset.h"
#include "lockstep/rnn/options.h"

namespace lockstep {

struct LossSettings {
  Options options;
  std::vector<float> class_weights;  // [classes], or empty
};

// Of a training on `data` by a network of `classes` classes. Throws InvalidArgument for a weight of
// a class that is not among those of `data`.
[[nodiscard]] LossSettings loss_settings(const Options& options, const Dataset& data,
                                         std::size_t classes);

// Whether a target of `data` is known and has a weight above 0.
[[nodiscard]] bool has_counting_targets(const Dataset& data, const LossSettings& settings);

// Whether Options::class_weights may have this text.
[[nodiscard]] bool is_class_weights(const std::string& text);

// Throws InvalidArgument if the weights name a class that is not among these.
void require_class_weights(const std::string& weights, std::span<const std::string> class_names);

}  // namespace lockstep
