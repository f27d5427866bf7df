// THE table of heads, kHeads: what a network does with its outputs and their targets.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "lockstep/matrix_view.h"
#include "lockstep/rnn/dataset.h"
#include "lockstep/rnn/options.h"

namespace lockstep {

// What a row of outputs should be; kNoLabel and NaN: not known.
struct Target {
  int label = kNoLabel;           // of heads with classes
  std::span<const float> values;  // of the others, as many as outputs
};

// Rows of outputs with a target each.
struct HeadRows {
  MatrixView outputs;
  const int* labels;     // [rows], of heads with classes
  const float* targets;  // [rows][outputs] of the others

  [[nodiscard]] Target target(std::size_t row) const {
    if (labels != nullptr) return {.label = labels[row], .values = {}};
    return {.label = kNoLabel, .values = {targets + row * outputs.cols, outputs.cols}};
  }
};

struct Head {
  std::string_view name;  // of Network::head
  TargetKind targets;     // what the data must have
  bool has_accuracy;      // outputs are right or wrong

  // Outputs become their gradients of the summed loss, zeros where the target is not known. Leaves
  // the loss of each row in `losses` and returns how many rows were right, by parts of rows where
  // outputs are judged one by one.
  double (*loss)(const HeadRows& rows, const Options& options, double* losses);
  // Outputs become what a prediction gives.
  void (*predict)(const MatrixView& outputs);

  // The loss of one row, whose outputs become their gradients: what the gradient check compares
  // with.
  double (*define)(std::vector<double>& outputs, const Target& target, const Options& options);
};

extern const Head kClassifyHead;
extern const Head kClassifyStepsHead;
extern const Head kRegressHead;
extern const Head kRegressStepsHead;
extern const Head kMultilabelHead;
inline constexpr const Head* kHeads[] = {&kClassifyHead, &kClassifyStepsHead, &kRegressHead,
                                         &kRegressStepsHead, &kMultilabelHead};

// Of a number whose error is `d`.
[[nodiscard]] double regression_loss(double d, const Options& options);

// The head of a network.
[[nodiscard]] const Head& head_of(const Network& network);

// The share of a target that is known: 0 or 1 of a class.
[[nodiscard]] double known_share(const Target& target);

}  // namespace lockstep
