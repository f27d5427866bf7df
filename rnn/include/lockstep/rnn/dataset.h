#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "lockstep/export.h"

namespace lockstep {

/// Label of a sequence whose class is not known.
inline constexpr int kNoLabel = -1;

/// Sequences of unequal length with one class label each.
///
/// Sequence i is a row-major float32 matrix [length(i)][channels()]. All sequences follow one
/// another in one array, so a data set of a million short sequences is one allocation, not a
/// million. Reading from several threads is safe; `add` is not.
class LOCKSTEP_API Dataset {
 public:
  /// An empty set of sequences with `channels` >= 1 values per timestep. `class_names[c]` is the
  /// text of label c. Throws std::invalid_argument if `channels` is 0.
  explicit Dataset(std::size_t channels, std::vector<std::string> class_names = {});

  /// Appends one sequence: `values` is [length][channels()] row-major with length >= 1, and `label`
  /// is kNoLabel or in [0, classes()). They are copied, and must not be those of a sequence of this
  /// same set. Throws std::invalid_argument otherwise, std::bad_alloc if there is no memory; then
  /// nothing has changed.
  void add(std::span<const float> values, int label);

  /// Number of sequences.
  [[nodiscard]] std::size_t size() const { return labels_.size(); }
  /// Whether there are none.
  [[nodiscard]] bool empty() const { return labels_.empty(); }
  /// Values per timestep.
  [[nodiscard]] std::size_t channels() const { return channels_; }
  /// Number of classes; 0 if it was made without names.
  [[nodiscard]] std::size_t classes() const { return class_names_.size(); }
  /// Texts of the classes, [classes()].
  [[nodiscard]] const std::vector<std::string>& class_names() const { return class_names_; }

  /// Number of timesteps of sequence i (< size()).
  [[nodiscard]] std::size_t length(std::size_t i) const { return lengths_[i]; }
  /// Values of sequence i (< size()), [length(i)][channels()] row-major; valid until `add`.
  ///@{
  [[nodiscard]] std::span<const float> sequence(std::size_t i) const {
    return {values_.data() + offsets_[i], lengths_[i] * channels_};
  }
  [[nodiscard]] std::span<float> sequence(std::size_t i) {
    return {values_.data() + offsets_[i], lengths_[i] * channels_};
  }
  ///@}
  /// Class of sequence i (< size()), or kNoLabel.
  [[nodiscard]] int label(std::size_t i) const { return labels_[i]; }
  /// Those of all sequences, [size()].
  [[nodiscard]] const std::vector<int>& labels() const { return labels_; }

  /// Timesteps of the longest sequence; 0 for an empty set.
  [[nodiscard]] std::size_t max_length() const;
  /// Timesteps of all sequences; 0 for an empty set.
  [[nodiscard]] std::size_t total_timesteps() const;

  /// The sequences with the given indices (< size(), any number of times), in that order; channels
  /// and classes as here.
  [[nodiscard]] Dataset subset(std::span<const std::size_t> indices) const;

  /// The same sequences with labels renumbered to `class_names`, matched by name. A class of this
  /// set that occurs in a label but not in `class_names` throws std::invalid_argument with its
  /// name.
  [[nodiscard]] Dataset with_classes(const std::vector<std::string>& class_names) const;

 private:
  std::size_t channels_;
  std::vector<std::string> class_names_;
  std::vector<float> values_;
  std::vector<std::size_t> offsets_;
  std::vector<std::size_t> lengths_;
  std::vector<int> labels_;
};

}  // namespace lockstep
