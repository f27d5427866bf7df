#include "fuzz/csv_text.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace lockstep::fuzz {
namespace {

std::string number_text(double number) {
  if (std::isnan(number)) return "";
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, number).ptr};
}

std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) result += c == '"' ? "\"\"" : std::string(1, c);
  return result + '"';
}

// "" where it is not known.
std::string label_text(const Dataset& data, std::size_t i, std::size_t step) {
  if (!is_label(data.target_kind())) return "";
  const bool has_steps = data.target_kind() == TargetKind::step_labels;
  const int label = has_steps ? data.step_labels(i)[step] : data.label(i);
  return label == kNoLabel ? "" : data.class_names()[static_cast<std::size_t>(label)];
}

std::span<const float> targets_of(const Dataset& data, std::size_t i, std::size_t step) {
  const std::span<const float> targets = data.targets(i);
  return is_of_steps(data.target_kind()) ? targets.subspan(step * data.classes(), data.classes())
                                         : targets;
}

bool are_same(std::span<const float> a, std::span<const float> b) {
  return std::ranges::equal(
      a, b, [](float x, float y) { return x == y || (std::isnan(x) && std::isnan(y)); });
}

bool is_same_sequence(const Dataset& a, const Dataset& b, std::size_t i) {
  if (a.length(i) != b.length(i) || !are_same(a.sequence(i), b.sequence(i))) return false;
  if (a.weight(i) != b.weight(i) || (a.has_ids() && a.id(i) != b.id(i))) return false;
  if (!is_label(a.target_kind())) return are_same(a.targets(i), b.targets(i));
  const std::size_t rows = is_of_steps(a.target_kind()) ? a.length(i) : 1;
  for (std::size_t step = 0; step < rows; ++step) {
    if (label_text(a, i, step) != label_text(b, i, step)) return false;
  }
  return true;
}

std::string header_text(const Dataset& data) {
  std::string text = "sample,step,label,sample_weight";
  for (std::size_t c = 0; c < data.channels(); ++c) {
    const bool has_name = !data.channel_names().empty();
    text += ',' + (has_name ? quoted(data.channel_names()[c]) : 'c' + std::to_string(c));
  }
  for (std::size_t j = 0; !is_label(data.target_kind()) && j < data.classes(); ++j) {
    text += ",target_" + std::to_string(j);
  }
  return text + '\n';
}

}  // namespace

std::string csv_text(const Dataset& data) {
  std::string text = header_text(data);
  for (std::size_t i = 0; i < data.size(); ++i) {
    const std::string id = quoted(data.has_ids() ? data.id(i) : std::to_string(i));
    for (std::size_t step = 0; step < data.length(i); ++step) {
      text += id + ',' + std::to_string(step) + ',' + quoted(label_text(data, i, step)) + ',' +
              number_text(data.weight(i));
      const auto values = data.sequence(i).subspan(step * data.channels(), data.channels());
      for (const float value : values) text += ',' + number_text(value);
      if (!is_label(data.target_kind())) {
        for (const float target : targets_of(data, i, step)) text += ',' + number_text(target);
      }
      text += '\n';
    }
  }
  return text;
}

ReadOptions options_for(const Dataset& data) {
  ReadOptions options;
  options.format = "csv";
  options.targets = data.target_kind();
  options.allow_missing = true;
  return options;
}

bool has_csv_text(const Dataset& data) {
  const auto has_nul = [](const std::string& name) { return name.find('\0') != std::string::npos; };
  return std::ranges::none_of(data.class_names(), has_nul);
}

bool is_same(const Dataset& a, const Dataset& b) {
  const bool has_numbers = !is_label(a.target_kind());
  if (a.size() != b.size() || a.channels() != b.channels()) return false;
  if (a.target_kind() != b.target_kind() || (has_numbers && a.classes() != b.classes())) {
    return false;
  }
  if (!a.channel_names().empty() && a.channel_names() != b.channel_names()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!is_same_sequence(a, b, i)) return false;
  }
  return true;
}

}  // namespace lockstep::fuzz
