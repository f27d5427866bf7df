#include "lockstep/rnn/dataset.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "data/class_key.h"
#include "data/mapped_file.h"
#include "lockstep/error.h"
#include "lookup.h"

namespace lockstep {

Dataset::Dataset(std::size_t channels, std::vector<std::string> class_names)
    : Dataset(channels, TargetKind::label, std::move(class_names)) {}

Dataset::Dataset(std::size_t channels, TargetKind kind, std::vector<std::string> names)
    : channels_(channels), kind_(kind), class_names_(std::move(names)) {
  if (channels == 0) throw InvalidArgument("Dataset: channels is 0, expected at least 1");
  if (!is_label(kind) && class_names_.empty()) {
    throw InvalidArgument("Dataset: values have no output, expected at least one");
  }
}

Dataset Dataset::over(std::size_t channels, std::span<const float> values, std::size_t stride,
                      std::vector<std::size_t> lengths, std::shared_ptr<const void> owner) {
  Dataset result(channels);
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    const std::size_t timesteps = values.size() / channels;
    const bool fits = lengths[i] > 0 && lengths[i] <= stride && lengths[i] <= timesteps &&
                      i <= (timesteps - lengths[i]) / stride;
    if (!fits) {
      throw InvalidArgument("Dataset::over: sequence " + std::to_string(i) + " of length " +
                            std::to_string(lengths[i]) + " is not within the values");
    }
    result.append_place(i * stride * channels, lengths[i]);
  }
  result.labels_.assign(lengths.size(), kNoLabel);
  result.values_ = values.data();
  result.owner_ = owner != nullptr ? std::move(owner) : std::make_shared<char>();
  result.is_whole_ = false;
  return result;
}

std::vector<float>& Dataset::own_values(std::size_t more) {
  const bool is_sole = own_.use_count() == 1;
  // What another thread has read of the values, it has read before it let them go.
  std::atomic_thread_fence(std::memory_order_acquire);
  if (!is_sole || !is_whole_) {
    auto own = std::make_shared<std::vector<float>>();
    own->reserve(total_timesteps() * channels_ + more);
    std::vector<std::size_t> offsets;
    offsets.reserve(size());
    for (std::size_t i = 0; i < size(); ++i) {
      offsets.push_back(own->size());
      own->insert(own->end(), sequence(i).begin(), sequence(i).end());
    }
    own_ = std::move(own);
    offsets_ = std::move(offsets);
    owner_.reset();
    is_whole_ = true;
    values_ = own_->data();
  }
  return *own_;
}

void Dataset::append_place(std::size_t offset, std::size_t length) {
  const std::size_t first = total_timesteps();
  offsets_.push_back(offset);
  lengths_.push_back(length);
  first_timesteps_.push_back(first);
}

template <class AddTargets>
void Dataset::append(std::span<const float> values, const AddTargets& add_targets) {
  if (values.empty() || values.size() % channels_ != 0) {
    throw InvalidArgument("Dataset::add: " + std::to_string(values.size()) +
                          " values, expected a positive multiple of the " +
                          std::to_string(channels_) + " channels");
  }
  std::vector<float>& own = own_values(values.size());
  const std::size_t sequences = size();
  const std::size_t begin = own.size();
  const std::size_t labels = labels_.size();
  const std::size_t targets = targets_.size();
  try {
    own.insert(own.end(), values.begin(), values.end());
    append_place(begin, values.size() / channels_);
    add_targets(values.size() / channels_);
    if (!weights_.empty()) weights_.push_back(1.0f);
    if (!ids_.empty()) ids_.emplace_back();
    values_ = own.data();
  } catch (...) {  // there is no memory, or the targets do not fit
    own.resize(begin);
    values_ = own.data();
    offsets_.resize(sequences);
    lengths_.resize(sequences);
    first_timesteps_.resize(sequences);
    labels_.resize(labels);
    targets_.resize(targets);
    weights_.resize(std::min(weights_.size(), sequences));
    throw;
  }
}

void Dataset::set_targets(TargetKind kind, std::vector<std::string> names, std::vector<int> labels,
                          std::vector<float> targets) {
  const std::size_t rows = is_of_steps(kind) ? total_timesteps() : size();
  const bool has_labels = is_label(kind);
  const bool fits = has_labels
                        ? labels.size() == rows && targets.empty()
                        : labels.empty() && !names.empty() && rows <= SIZE_MAX / names.size() &&
                              targets.size() == rows * names.size();
  if (!fits) throw InvalidArgument("Dataset::set_targets: their number is not that of the set");
  for (const int label : labels) {
    if (label >= kNoLabel && (label < 0 || static_cast<std::size_t>(label) < names.size()))
      continue;
    throw InvalidArgument("Dataset::set_targets: label " + std::to_string(label) +
                          ", expected kNoLabel or a class below " + std::to_string(names.size()));
  }
  kind_ = kind;
  class_names_ = std::move(names);
  labels_ = std::move(labels);
  targets_ = std::move(targets);
}

void Dataset::reserve(std::size_t sequences, std::size_t timesteps) {
  if (timesteps > SIZE_MAX / sizeof(float) / channels_) throw std::bad_alloc();
  std::vector<float>& own = own_values(0);
  own.reserve(timesteps * channels_);
  values_ = own.data();
  offsets_.reserve(sequences);
  lengths_.reserve(sequences);
  first_timesteps_.reserve(sequences);
}

void Dataset::set_channel_names(std::vector<std::string> names) {
  if (!names.empty() && names.size() != channels_) {
    throw InvalidArgument("Dataset::set_channel_names: " + std::to_string(names.size()) +
                          " names, expected " + std::to_string(channels_));
  }
  if (const auto twice = repeated(names)) {
    throw InvalidArgument("two channels are called '" + *twice + "'");
  }
  channel_names_ = std::move(names);
}

void Dataset::set_id(std::size_t i, std::string id) {
  if (i >= size()) throw InvalidArgument("Dataset::set_id: there is no such sequence");
  if (ids_.empty() && !id.empty()) ids_.resize(size());
  if (!ids_.empty()) ids_[i] = std::move(id);
}

const std::string& Dataset::id(std::size_t i) const {
  static const std::string kNone;
  return ids_.empty() ? kNone : ids_[i];
}

void Dataset::set_weight(std::size_t i, float weight) {
  if (i >= size()) throw InvalidArgument("Dataset::set_weight: there is no such sequence");
  if (!(weight >= 0) || std::isinf(weight)) {
    throw InvalidArgument("Dataset::set_weight: weight " + std::to_string(weight) +
                          ", expected a finite number of 0 or more");
  }
  if (weights_.empty() && weight != 1) weights_.resize(size(), 1.0f);
  if (!weights_.empty()) weights_[i] = weight;
}

void Dataset::require_kind(TargetKind kind, const char* function) const {
  if (kind_ == kind) return;
  throw InvalidArgument(std::string("Dataset::") + function + ": the set has other targets");
}

void Dataset::require_label(int label) const {
  if (label >= kNoLabel && (label < 0 || static_cast<std::size_t>(label) < classes())) return;
  throw InvalidArgument("Dataset::add: label " + std::to_string(label) +
                        ", expected kNoLabel or a class below " + std::to_string(classes()));
}

void Dataset::add(std::span<const float> values, int label) {
  require_kind(TargetKind::label, "add");
  require_label(label);
  append(values, [&](std::size_t) { labels_.push_back(label); });
}

void Dataset::add_steps(std::span<const float> values, std::span<const int> labels) {
  require_kind(TargetKind::step_labels, "add_steps");
  for (const int label : labels) require_label(label);
  append(values, [&](std::size_t length) {
    if (labels.size() != length) {
      throw InvalidArgument("Dataset::add_steps: " + std::to_string(labels.size()) +
                            " labels, expected one for each of " + std::to_string(length) +
                            " timesteps");
    }
    labels_.insert(labels_.end(), labels.begin(), labels.end());
  });
}

void Dataset::add_values(std::span<const float> values, std::span<const float> targets) {
  if (kind_ != TargetKind::step_values) require_kind(TargetKind::values, "add_values");
  append(values, [&](std::size_t length) {
    const std::size_t rows = is_of_steps(kind_) ? length : 1;
    if (targets.size() != rows * classes()) {
      throw InvalidArgument("Dataset::add_values: " + std::to_string(targets.size()) +
                            " targets, expected " + std::to_string(rows * classes()));
    }
    const auto is_infinite = [](float target) { return std::isinf(target); };
    if (std::ranges::any_of(targets, is_infinite)) {
      throw InvalidArgument("Dataset::add_values: a target is infinite");
    }
    targets_.insert(targets_.end(), targets.begin(), targets.end());
  });
}

void Dataset::add_unknown(std::span<const float> values) {
  constexpr float kUnknown = std::numeric_limits<float>::quiet_NaN();
  append(values, [&](std::size_t length) {
    const std::size_t rows = is_of_steps(kind_) ? length : 1;
    if (is_label(kind_)) {
      labels_.resize(labels_.size() + rows, kNoLabel);
    } else {
      targets_.resize(targets_.size() + rows * classes(), kUnknown);
    }
  });
}

Range Dataset::target_range(std::size_t i) const {
  const std::size_t first = is_of_steps(kind_) ? first_timestep(i) : i;
  const std::size_t rows = is_of_steps(kind_) ? lengths_[i] : 1;
  return {first * classes(), (first + rows) * classes()};
}

std::size_t Dataset::missing_values() const {
  std::size_t missing = 0;
  data_file::Readahead ahead(*this);
  for (std::size_t i = 0; i < size(); ++i) {
    ahead.before(i);
    missing += static_cast<std::size_t>(
        std::ranges::count_if(sequence(i), [](float value) { return std::isnan(value); }));
  }
  return missing;
}

std::size_t Dataset::max_length() const {
  return empty() ? 0 : *std::max_element(lengths_.begin(), lengths_.end());
}

Dataset Dataset::subset(std::span<const std::size_t> indices) const {
  Dataset result(channels_, kind_, class_names_);
  result.channel_names_ = channel_names_;
  result.values_ = values_;
  result.own_ = own_;
  result.owner_ = owner_;
  result.is_whole_ = false;
  for (const std::size_t i : indices) {
    result.append_place(offsets_[i], lengths_[i]);
    if (kind_ == TargetKind::label) {
      result.labels_.push_back(label(i));
    } else if (kind_ == TargetKind::step_labels) {
      result.labels_.insert(result.labels_.end(), step_labels(i).begin(), step_labels(i).end());
    } else {
      result.targets_.insert(result.targets_.end(), targets(i).begin(), targets(i).end());
    }
    if (!weights_.empty()) result.weights_.push_back(weights_[i]);
    if (!ids_.empty()) result.ids_.push_back(ids_[i]);
  }
  return result;
}

Dataset Dataset::with_classes(const std::vector<std::string>& class_names) const {
  if (!is_label(kind_)) {
    // What one number is called depends on the format of its file.
    const bool is_one = class_names.size() == 1 && class_names_.size() == 1;
    if (class_names_ == class_names || is_one) return *this;
    throw InvalidArgument("the outputs are " + listed(class_names_) + ", expected " +
                          listed(class_names));
  }
  // Equal texts before equal numbers.
  std::unordered_map<std::string, int> new_labels;
  for (const bool by_number : {false, true}) {
    for (std::size_t c = 0; c < class_names.size(); ++c) {
      const std::string key = by_number ? class_key(class_names[c]) : class_names[c];
      new_labels.emplace(key, static_cast<int>(c));
    }
  }
  Dataset result = *this;
  result.class_names_ = class_names;
  for (int& label : result.labels_) {
    if (label == kNoLabel) continue;
    const std::string& name = class_names_[static_cast<std::size_t>(label)];
    auto found = new_labels.find(name);
    if (found == new_labels.end()) found = new_labels.find(class_key(name));
    if (found == new_labels.end()) {
      throw InvalidArgument("class '" + name + "' is not among the expected classes");
    }
    label = found->second;
  }
  return result;
}

Dataset Dataset::with_channels(const std::vector<std::string>& names) const {
  if (names.empty() || channel_names_.empty() || names == channel_names_) return *this;
  std::unordered_map<std::string_view, std::size_t> place_of;
  for (std::size_t c = 0; c < channels_; ++c) place_of.emplace(channel_names_[c], c);
  std::vector<std::size_t> places;
  for (const std::string& name : names) {
    const auto found = place_of.find(name);
    if (found == place_of.end() || names.size() != channels_) {
      throw InvalidArgument("the channels are " + listed(channel_names_) + ", expected " +
                            listed(names));
    }
    places.push_back(found->second);
  }
  Dataset result = *this;
  result.channel_names_ = names;
  for (std::size_t i = 0; i < size(); ++i) {
    const std::span<const float> from = sequence(i);
    const std::span<float> to = result.writable_sequence(i);
    for (std::size_t at = 0; at < from.size(); at += channels_) {
      for (std::size_t c = 0; c < channels_; ++c) to[at + c] = from[at + places[c]];
    }
  }
  return result;
}

}  // namespace lockstep
