#include "lockstep/rnn/metrics.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

#include "heads/head.h"
#include "lockstep/error.h"
#include "lockstep/portable_math.h"
#include "lockstep/rnn/network.h"
#include "network/tensors.h"

namespace lockstep {
namespace {

void check(std::span<const float> probabilities, std::span<const int> labels, std::size_t classes) {
  if (classes == 0 || classes > kMaxUnits || probabilities.size() != labels.size() * classes) {
    throw InvalidArgument("evaluate: " + std::to_string(probabilities.size()) +
                          " probabilities, expected " + std::to_string(labels.size()) +
                          " samples of " + std::to_string(classes) + ", from 1 to " +
                          std::to_string(kMaxUnits) + " classes");
  }
  for (const int label : labels) {
    if (label < 0 || static_cast<std::size_t>(label) >= classes) {
      throw InvalidArgument("evaluate: label " + std::to_string(label) + ", expected 0 to " +
                            std::to_string(classes - 1));
    }
  }
}

double ratio(std::size_t part, std::size_t whole) {
  if (whole == 0) return std::numeric_limits<double>::quiet_NaN();
  return static_cast<double>(part) / static_cast<double>(whole);
}

double mean_of_known(std::span<const double> values) {
  double sum = 0;
  std::size_t count = 0;
  for (const double value : values) {
    if (std::isnan(value)) continue;
    sum += value;
    ++count;
  }
  return sum / static_cast<double>(count);
}

// Of one class or label.
struct ClassCounts {
  std::size_t hits = 0;
  std::size_t predicted = 0;
  std::size_t actual = 0;
};

void add_class(Evaluation& result, const ClassCounts& c) {
  result.precision.push_back(ratio(c.hits, c.predicted));
  result.recall.push_back(ratio(c.hits, c.actual));
  result.f1.push_back(ratio(2 * c.hits, c.predicted + c.actual));
  result.support.push_back(c.actual);
}

// `samples` are [actual][predicted] of each sample, and are sorted.
std::vector<ConfusionCount> count_confusion(std::vector<std::uint64_t>& samples,
                                            std::size_t classes) {
  std::ranges::sort(samples);
  std::vector<ConfusionCount> counts;
  for (const std::uint64_t sample : samples) {
    const ConfusionCount next{sample / classes, sample % classes, 1};
    const bool is_same = !counts.empty() && counts.back().actual == next.actual &&
                         counts.back().predicted == next.predicted;
    if (is_same) {
      ++counts.back().count;
    } else {
      counts.push_back(next);
    }
  }
  return counts;
}

// Fills what follows from the confusion matrix alone.
void score_classes(Evaluation& result, std::size_t classes) {
  std::size_t correct = 0;
  std::vector<ClassCounts> all(classes);
  for (const auto& [actual, predicted, count] : result.confusion) {
    all[actual].actual += count;
    all[predicted].predicted += count;
    if (actual != predicted) continue;
    all[actual].hits += count;
    correct += count;
  }
  for (const ClassCounts& c : all) add_class(result, c);
  result.accuracy = ratio(correct, result.samples);
  result.balanced_accuracy = mean_of_known(result.recall);
  result.macro_f1 = mean_of_known(result.f1);
}

}  // namespace

Evaluation evaluate(std::span<const float> probabilities, std::span<const int> labels,
                    std::size_t classes) {
  check(probabilities, labels, classes);
  Evaluation result;
  result.samples = labels.size();
  std::vector<std::uint64_t> samples;
  samples.reserve(labels.size());
  double loss = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const auto row = probabilities.subspan(i * classes, classes);
    const auto label = static_cast<std::size_t>(labels[i]);
    const auto predicted =
        static_cast<std::size_t>(std::max_element(row.begin(), row.end()) - row.begin());
    samples.push_back(label * classes + predicted);
    // std::max returns a NaN if it is the first.
    loss -= portable_log(std::max(row[label], std::numeric_limits<float>::denorm_min()));
  }
  result.confusion = count_confusion(samples, classes);
  score_classes(result, classes);
  result.loss = loss / static_cast<double>(result.samples);
  return result;
}

namespace {

// The errors of one output.
struct OutputErrors {
  double squares = 0;
  double sizes = 0;
  double losses = 0;
  double first = 0;    // target, from which the others are taken
  double targets = 0;  // their sum
  double target_squares = 0;
  std::size_t count = 0;

  void add(double predicted, double target, const Options& options) {
    const double d = predicted - target;
    squares += d * d;
    sizes += std::abs(d);
    losses += regression_loss(d, options);
    if (count == 0) first = target;
    targets += target - first;
    target_squares += (target - first) * (target - first);
    ++count;
  }
  [[nodiscard]] double r2() const {
    const auto n = static_cast<double>(count);
    const double around_mean = target_squares - targets * targets / n;
    return around_mean > 0 ? 1 - squares / around_mean : std::numeric_limits<double>::quiet_NaN();
  }
};

Evaluation evaluate_values(std::span<const float> predictions, std::span<const float> targets,
                           std::size_t outputs, const Options& options) {
  std::vector<OutputErrors> errors(outputs);
  OutputErrors all;
  Evaluation result;
  for (std::size_t i = 0; i < targets.size(); i += outputs) {
    std::size_t known = 0;
    for (std::size_t j = 0; j < outputs; ++j) {
      if (std::isnan(targets[i + j])) continue;
      const auto predicted = static_cast<double>(predictions[i + j]);
      const auto target = static_cast<double>(targets[i + j]);
      errors[j].add(predicted, target, options);
      all.add(predicted, target, options);
      ++known;
    }
    result.samples += known > 0 ? 1 : 0;
  }
  const auto n = static_cast<double>(all.count);
  std::vector<double> r2;
  r2.reserve(errors.size());
  for (const OutputErrors& e : errors) r2.push_back(e.r2());
  result.accuracy = std::numeric_limits<double>::quiet_NaN();
  result.loss = all.losses / n;
  result.rmse = std::sqrt(all.squares / n);
  result.mae = all.sizes / n;
  result.r2 = mean_of_known(r2);
  return result;
}

Evaluation evaluate_labels(std::span<const float> probabilities, std::span<const float> targets,
                           std::size_t outputs) {
  Evaluation result;
  std::vector<ClassCounts> labels(outputs);
  double loss = 0;
  std::size_t right = 0;
  std::size_t count = 0;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    if (i % outputs == 0) {
      const auto row = targets.subspan(i, outputs);
      result.samples += std::ranges::any_of(row, [](float t) { return !std::isnan(t); }) ? 1 : 0;
    }
    if (std::isnan(targets[i])) continue;
    const auto t = static_cast<double>(targets[i]);
    const float p = probabilities[i];
    constexpr double kLeast = 0x1p-30;  // 1 - p has no smaller steps
    loss -= t * portable_log(std::max(static_cast<double>(p), kLeast)) +
            (1 - t) * portable_log(std::max(1 - static_cast<double>(p), kLeast));
    const bool is_predicted = p > 0.5f;
    const bool is_actual = t > 0.5;
    ClassCounts& label = labels[i % outputs];
    label.hits += is_predicted && is_actual ? 1 : 0;
    label.predicted += is_predicted ? 1 : 0;
    label.actual += is_actual ? 1 : 0;
    right += is_predicted == is_actual ? 1 : 0;
    ++count;
  }
  for (const ClassCounts& label : labels) add_class(result, label);
  result.macro_f1 = mean_of_known(result.f1);
  result.loss = loss / static_cast<double>(count);
  result.accuracy = ratio(right, count);
  return result;
}

void require_count(std::span<const float> predictions, std::size_t expected) {
  if (predictions.size() == expected) return;
  throw InvalidArgument("evaluate: " + std::to_string(predictions.size()) +
                        " predictions, expected " + std::to_string(expected));
}

// All targets of a set of values, one after another.
std::vector<float> all_targets(const Dataset& data) {
  std::vector<float> targets;
  for (std::size_t i = 0; i < data.size(); ++i) {
    targets.insert(targets.end(), data.targets(i).begin(), data.targets(i).end());
  }
  return targets;
}

}  // namespace

Evaluation evaluate(const Network& network, std::span<const float> predictions, const Dataset& data,
                    const Options& options) {
  require_targets(network, data, "evaluate: ");
  const std::size_t outputs = network.outputs;
  if (!is_label(data.target_kind())) {
    const std::vector<float> targets = all_targets(data);
    require_count(predictions, targets.size());
    return network.head == "multilabel" ? evaluate_labels(predictions, targets, outputs)
                                        : evaluate_values(predictions, targets, outputs, options);
  }
  require_count(predictions, data.labels().size() * outputs);
  std::vector<int> labels;
  std::vector<float> known;
  for (std::size_t i = 0; i < data.labels().size(); ++i) {
    if (data.labels()[i] == kNoLabel) continue;
    labels.push_back(data.labels()[i]);
    const auto row = predictions.subspan(i * outputs, outputs);
    known.insert(known.end(), row.begin(), row.end());
  }
  return evaluate(known, labels, outputs);
}

}  // namespace lockstep
