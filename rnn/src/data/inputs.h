// A data set as a network reads it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "lockstep/detail/floating_point_mode.h"
#include "lockstep/range.h"
#include "lockstep/rnn/dataset.h"
#include "lockstep/rnn/normalization.h"

namespace lockstep {

// Mean and scale of the channels over some sequences, at least one.
[[nodiscard]] Normalization fit_channels(const Dataset& data, Range sequences);
// Throws as Normalization::apply.
void require_channels(const Normalization& normalization, const Dataset& data);

// Standardises timesteps while they are copied, to the numbers that Normalization::apply leaves.
class InputScale {
 public:
  // Of `data`, in the floating-point mode of the caller. Throws as Normalization::apply.
  InputScale(const Normalization& normalization, const Dataset& data);

  // Timesteps of sequence i, [steps][channels].
  void copy(std::size_t i, std::span<const float> from, float* to) const {
    if (mean_.empty()) {
      std::ranges::copy(from, to);
      return;
    }
    const std::size_t first = is_of_sequences_ ? i * channels_ : 0;
    const float* mean = mean_.data() + first;
    const float* scale = scale_.data() + first;
    for (std::size_t at = 0; at < from.size(); at += channels_) {
      for (std::size_t c = 0; c < channels_; ++c) {
        to[at + c] = (from[at + c] - mean[c]) * scale[c];
      }
    }
  }

  // The mode in which to call `copy`; none where its numbers are the same if denormals are flushed.
  [[nodiscard]] const std::optional<unsigned long long>& mode() const { return mode_; }

 private:
  void add(const Normalization& channels);

  std::size_t channels_;
  bool is_of_sequences_;
  std::vector<float> mean_;  // [channels] or [sequences][channels], or empty: nothing changes
  std::vector<float> scale_;
  std::optional<unsigned long long> mode_;
};

// Sequences and how they are standardised on the way to the network; not at all without `scale`.
struct Inputs {
  // NOLINTNEXTLINE(google-explicit-constructor): a data set is its own inputs
  Inputs(const Dataset& sequences) : data(sequences) {}
  Inputs(const Dataset& sequences, const InputScale& by) : data(sequences), scale(&by) {}

  // Timesteps of sequence i from `first` on, [steps][channels].
  void copy(std::size_t i, std::size_t first, std::size_t steps, float* to) const {
    const std::size_t channels = data.channels();
    const std::span<const float> from =
        data.sequence(i).subspan(first * channels, steps * channels);
    if (scale == nullptr) {
      std::ranges::copy(from, to);
    } else {
      scale->copy(i, from, to);
    }
  }

  const Dataset& data;
  const InputScale* scale = nullptr;
};

}  // namespace lockstep
