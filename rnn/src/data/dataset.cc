#include "lockstep/rnn/dataset.h"

#include <algorithm>
#include <numeric>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "lockstep/error.h"

namespace lockstep {

Dataset::Dataset(std::size_t channels, std::vector<std::string> class_names)
    : channels_(channels), class_names_(std::move(class_names)) {
  if (channels == 0) throw InvalidArgument("Dataset: channels is 0, expected at least 1");
}

void Dataset::add(std::span<const float> values, int label) {
  if (values.empty() || values.size() % channels_ != 0) {
    throw InvalidArgument("Dataset::add: " + std::to_string(values.size()) +
                          " values, expected a positive multiple of the " +
                          std::to_string(channels_) + " channels");
  }
  if (label < kNoLabel || (label >= 0 && static_cast<std::size_t>(label) >= classes())) {
    throw InvalidArgument("Dataset::add: label " + std::to_string(label) +
                          ", expected kNoLabel or a class below " + std::to_string(classes()));
  }
  const std::size_t sequences = size();
  const std::size_t begin = values_.size();
  try {
    values_.insert(values_.end(), values.begin(), values.end());
    offsets_.push_back(begin);
    lengths_.push_back(values.size() / channels_);
    labels_.push_back(label);
  } catch (...) {  // there is no memory
    values_.resize(begin);
    offsets_.resize(sequences);
    lengths_.resize(sequences);
    throw;
  }
}

std::size_t Dataset::max_length() const {
  return empty() ? 0 : *std::max_element(lengths_.begin(), lengths_.end());
}

std::size_t Dataset::total_timesteps() const {
  return std::accumulate(lengths_.begin(), lengths_.end(), std::size_t{0});
}

Dataset Dataset::subset(std::span<const std::size_t> indices) const {
  Dataset result(channels_, class_names_);
  for (const std::size_t i : indices) result.add(sequence(i), label(i));
  return result;
}

Dataset Dataset::with_classes(const std::vector<std::string>& class_names) const {
  std::unordered_map<std::string_view, int> new_labels;
  for (std::size_t c = 0; c < class_names.size(); ++c) {
    new_labels.emplace(class_names[c], static_cast<int>(c));
  }
  Dataset result = *this;
  result.class_names_ = class_names;
  for (int& label : result.labels_) {
    if (label == kNoLabel) continue;
    const std::string& name = class_names_[static_cast<std::size_t>(label)];
    const auto found = new_labels.find(name);
    if (found == new_labels.end()) {
      throw InvalidArgument("class '" + name + "' is not among the expected classes");
    }
    label = found->second;
  }
  return result;
}

}  // namespace lockstep
