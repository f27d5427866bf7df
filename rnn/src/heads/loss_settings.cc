#include "heads/loss_settings.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>
#include <utility>

#include "data/class_key.h"
#include "data/text_file.h"
#include "lookup.h"

namespace lockstep {
namespace {

using NamedWeights = std::vector<std::pair<std::string, float>>;

constexpr std::string_view kNone = "none";
constexpr std::string_view kBalanced = "balanced";

// "NAME=WEIGHT": names may have a '=', but no comma.
std::optional<std::pair<std::string, float>> parse_weight(std::string_view text) {
  const std::size_t sign = text.rfind('=');
  if (sign == 0 || sign == std::string_view::npos) return std::nullopt;
  const std::string_view number = text.substr(sign + 1);
  float weight = 0;
  const char* const begin = number.data();
  const char* const end = begin + number.size();
  const auto [stop, error] = std::from_chars(begin, end, weight);
  if (error != std::errc{} || stop != end || !(weight >= 0) || std::isinf(weight)) return {};
  return std::pair(std::string(text.substr(0, sign)), weight);
}

// None if the text is no such list.
std::optional<NamedWeights> parse_weights(std::string_view text) {
  NamedWeights weights;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    auto weight = parse_weight(text.substr(begin, end - begin));
    if (!weight) return std::nullopt;
    weights.push_back(*std::move(weight));
    begin = end + 1;
  }
  std::vector<std::string> names;
  for (const auto& [name, weight] : weights) names.push_back(name);
  return repeated(std::move(names)) ? std::nullopt : std::optional(std::move(weights));
}

std::vector<float> balanced_weights(const Dataset& data, std::size_t classes) {
  std::vector<std::size_t> counts(classes);
  std::size_t all = 0;
  for (const int label : data.labels()) {
    if (label == kNoLabel) continue;
    ++counts[static_cast<std::size_t>(label)];
    ++all;
  }
  std::vector<float> weights;
  for (const std::size_t count : counts) {
    const double share = static_cast<double>(classes) * static_cast<double>(count);
    weights.push_back(count == 0 ? 0 : static_cast<float>(static_cast<double>(all) / share));
  }
  return weights;
}

std::vector<float> given_weights(const std::string& text, std::span<const std::string> names,
                                 std::size_t classes) {
  std::vector<float> weights(classes, 1.0f);
  for (const auto& [name, weight] : parse_weights(text).value_or(NamedWeights())) {
    auto found = std::ranges::find(names, name);
    if (found == names.end()) found = std::ranges::find(names, class_key(name), class_key);
    if (found == names.end()) {
      throw InvalidArgument("class_weights: there is no class " + data_file::in_quotes(name) +
                            ", expected one of " + listed(names));
    }
    weights[static_cast<std::size_t>(found - names.begin())] = weight;
  }
  return weights;
}

}  // namespace

bool is_class_weights(const std::string& text) {
  return text == kNone || text == kBalanced || parse_weights(text).has_value();
}

void require_class_weights(const std::string& weights, std::span<const std::string> class_names) {
  if (weights == kNone || weights == kBalanced) return;
  static_cast<void>(given_weights(weights, class_names, class_names.size()));
}

bool has_counting_targets(const Dataset& data, const LossSettings& settings) {
  const auto counts = [&](int label) {
    return label != kNoLabel && (settings.class_weights.empty() ||
                                 settings.class_weights[static_cast<std::size_t>(label)] > 0);
  };
  const auto is_known = [](float value) { return !std::isnan(value); };
  for (std::size_t i = 0; i < data.size(); ++i) {
    if (data.weight(i) == 0) continue;
    const bool found = data.target_kind() == TargetKind::label ? counts(data.label(i))
                       : data.target_kind() == TargetKind::step_labels
                           ? std::ranges::any_of(data.step_labels(i), counts)
                           : std::ranges::any_of(data.targets(i), is_known);
    if (found) return true;
  }
  return false;
}

LossSettings loss_settings(const Options& options, const Dataset& data, std::size_t classes) {
  LossSettings settings{.options = options, .class_weights = {}};
  const std::string& weights = options.class_weights;
  if (weights == kNone || !is_label(data.target_kind())) return settings;
  settings.class_weights = weights == kBalanced
                               ? balanced_weights(data, classes)
                               : given_weights(weights, data.class_names(), classes);
  return settings;
}

}  // namespace lockstep
