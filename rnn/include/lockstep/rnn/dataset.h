#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lockstep/export.h"
#include "lockstep/range.h"

namespace lockstep {

/// Label of a sequence or timestep whose class is not known.
inline constexpr int kNoLabel = -1;

/// What is known of each sequence.
enum class TargetKind {
  label,        ///< a class
  step_labels,  ///< a class at each timestep
  values,       ///< numbers, one for each output
  step_values,  ///< the same at each timestep
};
/// Whether it is known of each timestep.
[[nodiscard]] constexpr bool is_of_steps(TargetKind kind) {
  return kind == TargetKind::step_labels || kind == TargetKind::step_values;
}
/// Whether it is one of several classes.
[[nodiscard]] constexpr bool is_label(TargetKind kind) {
  return kind == TargetKind::label || kind == TargetKind::step_labels;
}

/// Sequences of unequal length with targets: one class label each, or what TargetKind says.
///
/// Sequence i is a row-major float32 matrix [length(i)][channels()]. All sequences follow one
/// another in one array, so a data set of a million short sequences is one allocation, not a
/// million. Copies, subsets and sets with other targets share that array until one of them is
/// written to. Sets that share values are as independent as others: several threads may read one
/// set, or each do anything with a set of its own.
class LOCKSTEP_API Dataset {
 public:
  /// An empty set of sequences with `channels` >= 1 values per timestep. `class_names[c]` is the
  /// text of label c. Throws std::invalid_argument if `channels` is 0.
  explicit Dataset(std::size_t channels, std::vector<std::string> class_names = {});
  /// The same with targets of any kind; `names` are of classes or of outputs, at least one of them
  /// for values.
  Dataset(std::size_t channels, TargetKind kind, std::vector<std::string> names);

  /// Sequences of unknown labels whose values are and stay where they are, in memory that `owner`
  /// keeps, such as a file that is mapped: sequence i has the `lengths[i]` timesteps from timestep
  /// i * `stride` of `values` on, [timesteps][channels], aligned as floats are. What is written to
  /// the set or added to it makes a copy first. Throws std::invalid_argument if a length is 0 or
  /// more than `stride`, or `values` do not hold all sequences.
  [[nodiscard]] static Dataset over(std::size_t channels, std::span<const float> values,
                                    std::size_t stride, std::vector<std::size_t> lengths,
                                    std::shared_ptr<const void> owner);

  /// Appends one sequence: `values` is [length][channels()] row-major with length >= 1, and `label`
  /// is kNoLabel or in [0, classes()). They are copied, and must not be those of a sequence of this
  /// same set. Throws std::invalid_argument otherwise, std::bad_alloc if there is no memory; then
  /// nothing has changed.
  void add(std::span<const float> values, int label);
  /// The same with a label for each timestep, [length].
  void add_steps(std::span<const float> values, std::span<const int> labels);
  /// The same with values, [outputs] or [length][outputs]; NaN where one is not known.
  void add_values(std::span<const float> values, std::span<const float> targets);
  /// A sequence without targets, of any kind.
  void add_unknown(std::span<const float> values);

  /// Gives the sequences targets of another kind instead of theirs: `labels` of the classes
  /// `names`, [size()] or [total_timesteps()], or `targets`, the same times [names], as add_values
  /// takes them. Throws std::invalid_argument if they do not fit; then nothing has changed.
  void set_targets(TargetKind kind, std::vector<std::string> names, std::vector<int> labels,
                   std::vector<float> targets);
  /// Takes memory for this number of them in all, so that `add` need not; as `add` it makes the
  /// values the set's own.
  void reserve(std::size_t sequences, std::size_t timesteps);

  /// What the channels are called: [channels()], or none, as at first. Throws std::invalid_argument
  /// for another number and for two that are equal.
  ///@{
  void set_channel_names(std::vector<std::string> names);
  [[nodiscard]] const std::vector<std::string>& channel_names() const { return channel_names_; }
  ///@}
  /// What sequence i (< size()) is called, at first "". Throws std::invalid_argument if there is no
  /// such sequence.
  ///@{
  void set_id(std::size_t i, std::string id);
  [[nodiscard]] const std::string& id(std::size_t i) const;
  ///@}
  /// Whether a sequence is called something.
  [[nodiscard]] bool has_ids() const { return !ids_.empty(); }

  /// How much the targets of sequence i (< size()) count in the loss of a training, at first 1: a
  /// finite number of 0 or more. Inputs and targets are standardised as if all were 1. Throws
  /// std::invalid_argument otherwise.
  void set_weight(std::size_t i, float weight);
  /// What set_weight has set.
  [[nodiscard]] float weight(std::size_t i) const { return weights_.empty() ? 1.0f : weights_[i]; }

  /// What is known of each sequence.
  [[nodiscard]] TargetKind target_kind() const { return kind_; }
  /// Number of sequences.
  [[nodiscard]] std::size_t size() const { return lengths_.size(); }
  /// Whether there are none.
  [[nodiscard]] bool empty() const { return lengths_.empty(); }
  /// Values per timestep.
  [[nodiscard]] std::size_t channels() const { return channels_; }
  /// Number of classes, or of outputs; 0 if it was made without names.
  [[nodiscard]] std::size_t classes() const { return class_names_.size(); }
  /// Texts of the classes or of the outputs, [classes()].
  [[nodiscard]] const std::vector<std::string>& class_names() const { return class_names_; }

  /// Number of timesteps of sequence i (< size()).
  [[nodiscard]] std::size_t length(std::size_t i) const { return lengths_[i]; }
  /// Values of sequence i (< size()), [length(i)][channels()] row-major; valid until `add`,
  /// `reserve` or `writable_sequence`.
  [[nodiscard]] std::span<const float> sequence(std::size_t i) const {
    return {values_ + offsets_[i], lengths_[i] * channels_};
  }
  /// The same to be written to; valid until `add` and until the set is copied or a part of it
  /// taken.
  [[nodiscard]] std::span<float> writable_sequence(std::size_t i) {
    float* values = own_values(0).data();
    return {values + offsets_[i], lengths_[i] * channels_};
  }
  /// Whether they are in memory of the set's own, or in that of `over`.
  [[nodiscard]] bool is_over_other_memory() const { return owner_ != nullptr; }
  /// Class of sequence i (< size()), or kNoLabel; of TargetKind::label.
  [[nodiscard]] int label(std::size_t i) const { return labels_[i]; }
  /// Classes of its timesteps, [length(i)]; of TargetKind::step_labels.
  [[nodiscard]] std::span<const int> step_labels(std::size_t i) const {
    return std::span(labels_).subspan(first_timestep(i), lengths_[i]);
  }
  /// Values of sequence i, [classes()], or [length(i)][classes()] of step_values; until `add`.
  ///@{
  [[nodiscard]] std::span<const float> targets(std::size_t i) const {
    const Range range = target_range(i);
    return std::span(targets_).subspan(range.begin, range.size());
  }
  [[nodiscard]] std::span<float> targets(std::size_t i) {
    const Range range = target_range(i);
    return std::span(targets_).subspan(range.begin, range.size());
  }
  ///@}
  /// Timesteps of the sequences before i.
  [[nodiscard]] std::size_t first_timestep(std::size_t i) const { return first_timesteps_[i]; }
  /// Labels of all sequences, [size()], or of all their timesteps.
  [[nodiscard]] const std::vector<int>& labels() const { return labels_; }

  /// Values that are NaN.
  [[nodiscard]] std::size_t missing_values() const;
  /// Timesteps of the longest sequence; 0 for an empty set.
  [[nodiscard]] std::size_t max_length() const;
  /// Timesteps of all sequences; 0 for an empty set.
  [[nodiscard]] std::size_t total_timesteps() const {
    return empty() ? 0 : first_timesteps_.back() + lengths_.back();
  }

  /// The sequences with the given indices (< size(), any number of times), in that order; channels
  /// and classes as here.
  [[nodiscard]] Dataset subset(std::span<const std::size_t> indices) const;

  /// The same sequences with labels renumbered to `class_names`, matched by name. A class of this
  /// set that occurs in a label but not in `class_names` throws std::invalid_argument with its
  /// name; so do other names of outputs. Names that are the same number are one.
  [[nodiscard]] Dataset with_classes(const std::vector<std::string>& class_names) const;
  /// The same sequences with the channels of these names in this order. A set whose channels have
  /// no names, and one for no names, stays as it is. Throws std::invalid_argument with the names if
  /// they are others.
  [[nodiscard]] Dataset with_channels(const std::vector<std::string>& names) const;

 private:
  [[nodiscard]] Range target_range(std::size_t i) const;
  // The values, in an array that no other set has and that has room for `more`.
  std::vector<float>& own_values(std::size_t more);
  void append_place(std::size_t offset, std::size_t length);
  // Appends the values of a sequence, then calls add_targets.
  template <class AddTargets>
  void append(std::span<const float> values, const AddTargets& add_targets);
  void require_kind(TargetKind kind, const char* function) const;
  void require_label(int label) const;

  std::size_t channels_;
  TargetKind kind_ = TargetKind::label;
  std::vector<std::string> class_names_;
  const float* values_ = nullptr;            // of own_, or in memory of owner_
  std::shared_ptr<std::vector<float>> own_;  // shared with copies
  std::shared_ptr<const void> owner_;
  bool is_whole_ = true;              // own_ holds the sequences one after another, nothing else
  std::vector<std::size_t> offsets_;  // of sequences in values_
  std::vector<std::size_t> lengths_;
  std::vector<std::size_t> first_timesteps_;
  std::vector<int> labels_;     // of sequences or timesteps
  std::vector<float> targets_;  // [sequences or timesteps][class_names_]
  std::vector<float> weights_;  // [sequences], or empty if all are 1
  std::vector<std::string> channel_names_;
  std::vector<std::string> ids_;  // [sequences], or empty
};

}  // namespace lockstep
