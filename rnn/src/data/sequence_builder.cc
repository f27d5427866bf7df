#include "data/sequence_builder.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "data/class_key.h"
#include "data/text_file.h"
#include "lockstep/error.h"

namespace lockstep::data_file {

std::optional<std::string_view> present_label(std::string_view field) {
  return is_missing(field) ? std::nullopt : std::optional(trim(field));
}

SequenceBuilder::SequenceBuilder(std::size_t channels, const std::vector<std::string>& declared)
    : SequenceBuilder(Dataset(channels), 0, declared) {}

SequenceBuilder::SequenceBuilder(Dataset data, std::size_t left_out,
                                 const std::vector<std::string>& declared)
    : data_(std::move(data)), are_declared_(!declared.empty()), left_out_(left_out) {
  for (const std::string& name : declared) static_cast<void>(class_of(name));
}

int SequenceBuilder::class_of(std::string_view label) {
  if (last_class_ != kNoLabel && label == last_label_) return last_class_;
  const auto [found, is_new] = classes_.emplace(class_key(label), static_cast<int>(names_.size()));
  if (is_new) names_.emplace_back(label);
  last_label_ = label;
  last_class_ = found->second;
  return last_class_;
}

bool SequenceBuilder::accepts(std::string_view label) const {
  return !are_declared_ || classes_.contains(class_key(label));
}

std::size_t known_timesteps(std::span<const float> values, std::size_t channels) {
  const auto last =
      std::find_if(values.rbegin(), values.rend(), [](float value) { return !std::isnan(value); });
  return (static_cast<std::size_t>(values.rend() - last) + channels - 1) / channels;
}

std::size_t SequenceBuilder::add(std::span<const float> values) {
  const std::size_t length = known_timesteps(values, data_.channels());
  if (length == 0) throw InvalidArgument("every value of the sequence is missing");
  data_.add(values.first(length * data_.channels()), kNoLabel);
  left_out_ += values.size() / data_.channels() - length;
  return length;
}

void SequenceBuilder::add_label(std::optional<std::string_view> label) {
  labels_.push_back(label ? class_of(*label) : kNoLabel);
}

void SequenceBuilder::add_targets(std::span<const float> targets) {
  targets_.insert(targets_.end(), targets.begin(), targets.end());
}

Dataset SequenceBuilder::build(TargetKind kind) {
  std::vector<int> order(names_.size());
  std::iota(order.begin(), order.end(), 0);
  const auto name = [&](int c) -> std::string& { return names_[static_cast<std::size_t>(c)]; };
  if (!are_declared_) {
    std::vector<std::optional<double>> numbers(names_.size());  // once for each, however long
    std::ranges::transform(names_, numbers.begin(), parse_number);
    const bool are_numbers =
        std::ranges::all_of(numbers, [](const auto& number) { return number.has_value(); });
    const auto number = [&](int c) { return numbers[static_cast<std::size_t>(c)]; };
    std::ranges::sort(order, [&](int a, int b) {
      return are_numbers ? number(a) < number(b) : name(a) < name(b);
    });
  }
  std::vector<std::string> names;
  std::vector<int> places(order.size());
  for (const int c : order) {
    places[static_cast<std::size_t>(c)] = static_cast<int>(names.size());
    names.push_back(std::move(name(c)));
  }
  for (int& label : labels_) {
    if (label != kNoLabel) label = places[static_cast<std::size_t>(label)];
  }
  data_.set_targets(kind, std::move(names), std::move(labels_), {});
  return std::move(data_);
}

Dataset SequenceBuilder::build(TargetKind kind, std::vector<std::string> outputs) {
  data_.set_targets(kind, std::move(outputs), {}, std::move(targets_));
  return std::move(data_);
}

}  // namespace lockstep::data_file
