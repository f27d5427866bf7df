// What a data file has, gathered sequence by sequence.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "lockstep/rnn/dataset.h"

namespace lockstep::data_file {

// The label that a field holds, or none if it is missing.
std::optional<std::string_view> present_label(std::string_view field);

// Timesteps of [length][channels] up to the last that has a value, not NaN.
std::size_t known_timesteps(std::span<const float> values, std::size_t channels);

class SequenceBuilder {
 public:
  // With `declared` names the classes are these, in this order. Without, they are those that occur:
  // by value if all are numbers, otherwise by their text.
  explicit SequenceBuilder(std::size_t channels, const std::vector<std::string>& declared = {});

  // The same with sequences that are there already, whose ends were `left_out`.
  SequenceBuilder(Dataset data, std::size_t left_out, const std::vector<std::string>& declared);

  // Appends values [length][channels], NaN where one is missing. Timesteps at the end of which all
  // values are missing are left out. Returns the timesteps that are left. Throws InvalidArgument if
  // there are none.
  std::size_t add(std::span<const float> values);
  // What is known of the sequence that was added last: of it, or of its timesteps one by one.
  ///@{
  void add_label(std::optional<std::string_view> label);
  void add_targets(std::span<const float> targets);
  ///@}

  // Whether the label is among the declared names, or none were.
  [[nodiscard]] bool accepts(std::string_view label) const;
  [[nodiscard]] bool empty() const { return data_.empty(); }
  // Timesteps at the ends of sequences that were left out.
  [[nodiscard]] std::size_t left_out() const { return left_out_; }
  // What was gathered; for weights, ids and names.
  [[nodiscard]] Dataset& data() { return data_; }
  // Gives it away, with labels.
  [[nodiscard]] Dataset build(TargetKind kind = TargetKind::label);
  // The same with numbers, for outputs of these names.
  [[nodiscard]] Dataset build(TargetKind kind, std::vector<std::string> outputs);

 private:
  [[nodiscard]] int class_of(std::string_view label);

  Dataset data_;  // of values alone
  bool are_declared_;
  std::size_t left_out_ = 0;
  std::vector<std::string> names_;                // of the classes, as they came
  std::unordered_map<std::string, int> classes_;  // by class_key
  std::string last_label_;                        // and its class, which many timesteps have
  int last_class_ = kNoLabel;
  std::vector<int> labels_;
  std::vector<float> targets_;
};

}  // namespace lockstep::data_file
