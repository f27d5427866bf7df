#include "lockstep/rnn/metrics.h"

#include <algorithm>
#include <limits>
#include <string>

#include "lockstep/error.h"
#include "lockstep/portable_math.h"
#include "lockstep/rnn/network.h"

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

// Fills what follows from the confusion matrix alone.
void score_classes(Evaluation& result, std::size_t classes) {
  std::size_t correct = 0;
  for (std::size_t c = 0; c < classes; ++c) {
    std::size_t actual = 0;
    std::size_t predicted = 0;
    for (std::size_t other = 0; other < classes; ++other) {
      actual += result.confusion[c * classes + other];
      predicted += result.confusion[other * classes + c];
    }
    const std::size_t hits = result.confusion[c * classes + c];
    correct += hits;
    result.precision.push_back(ratio(hits, predicted));
    result.recall.push_back(ratio(hits, actual));
    result.f1.push_back(ratio(2 * hits, predicted + actual));
  }
  result.accuracy = ratio(correct, result.samples);
}

}  // namespace

Evaluation evaluate(std::span<const float> probabilities, std::span<const int> labels,
                    std::size_t classes) {
  check(probabilities, labels, classes);
  Evaluation result;
  result.samples = labels.size();
  result.confusion.resize(classes * classes);
  double loss = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const auto row = probabilities.subspan(i * classes, classes);
    const auto label = static_cast<std::size_t>(labels[i]);
    const auto predicted =
        static_cast<std::size_t>(std::max_element(row.begin(), row.end()) - row.begin());
    ++result.confusion[label * classes + predicted];
    // std::max returns a NaN if it is the first.
    loss -= portable_log(std::max(row[label], std::numeric_limits<float>::denorm_min()));
  }
  score_classes(result, classes);
  result.loss = loss / static_cast<double>(result.samples);
  return result;
}

}  // namespace lockstep
