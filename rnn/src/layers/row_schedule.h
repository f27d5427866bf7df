// A group of sequences that advance through time in lockstep.
#pragma once

#include <cstddef>
#include <span>

#include "layers/workspace.h"
#include "lockstep/gemm.h"
#include "lockstep/range.h"
#include "lockstep/rnn/dataset.h"

namespace lockstep {

// A window that no sequence is longer than: no truncation.
inline constexpr std::size_t kWholeSequences = static_cast<std::size_t>(-1);

constexpr std::size_t round_up(std::size_t n) {
  return (n + kAlignedColumns - 1) / kAlignedColumns * kAlignedColumns;
}

// One row of the matrix Z = [1, x_t, h_{t-1}] that both the forward product and the weight
// gradients read: h begins on a cache line, 1 and x are directly before it, so that Z is the one
// left-hand side of a layer whose weights are the rows b, Wx, Wh. Behind h is what else of the
// timestep the cell has: c, and sums that are not at the places of the next h.
struct RowLayout {
  explicit RowLayout(std::size_t features, std::size_t state_floats, std::size_t sums_floats = 0)
      : state(round_up(1 + features)),
        input(state - features),
        one(input - 1),
        sums(state + round_up(state_floats)),
        stride(sums + round_up(sums_floats)) {}

  std::size_t state;
  std::size_t input;
  std::size_t one;
  std::size_t sums;
  std::size_t stride;
};

// Which sequences a group holds and which rows of its matrices they occupy at each timestep.
//
// All end together: a shorter sequence begins later. Rows are ordered by falling length, so that
// the sequences that have begun at timestep t are rows 0 .. active(t)-1: nothing is padded and
// nothing computed before a sequence begins. The last timesteps are the window, whose states are
// kept; the rows of all its timesteps follow one another without gaps, those of t from
// offset(t) on.
//
// Where there is no memory for all of them the window is divided into segments of equal length,
// counted from its end; the first may be shorter. The rows of one segment are kept at a time, and
// those of the timestep behind it, which its last states are part of.
class RowSchedule {
 public:
  // For up to `rows` sequences and windows of up to `window` timesteps.
  RowSchedule(Workspace& workspace, std::size_t rows, std::size_t window);
  // Takes every `step`-th of the sequences `ordered`, from number `first` on, at least one; they
  // must be ordered by falling length. The window is that of the last `window` timesteps, or of all
  // if there are fewer. Allocates nothing within what was reserved.
  void assign(const Dataset& data, std::span<const std::size_t> ordered, std::size_t first,
              std::size_t step, std::size_t window);
  // Segments of this number of timesteps, at least one; the first is kept. Until then the window is
  // one segment.
  void divide(std::size_t timesteps);
  void keep(std::size_t segment);

  [[nodiscard]] std::size_t rows() const { return rows_; }
  [[nodiscard]] std::size_t steps() const { return steps_; }
  [[nodiscard]] std::size_t timesteps() const { return timesteps_; }  // of all sequences
  [[nodiscard]] std::size_t active(std::size_t t) const {
    return t < window_begin_ ? begun(t) : offset(t + 1) - offset(t);
  }
  [[nodiscard]] std::size_t window_begin() const { return window_begin_; }
  [[nodiscard]] std::size_t offset(std::size_t t) const { return offsets_[t - window_begin_]; }
  [[nodiscard]] std::size_t window_rows() const { return offset(steps_); }
  [[nodiscard]] Range window() const { return {window_begin_, steps_}; }
  [[nodiscard]] std::size_t member(std::size_t row) const { return members_[row]; }
  [[nodiscard]] std::size_t segments() const { return segments_; }
  [[nodiscard]] std::size_t kept() const { return kept_; }
  [[nodiscard]] Range segment(std::size_t number) const;
  // The row of timestep t among those that are kept.
  [[nodiscard]] std::size_t kept_offset(std::size_t t) const { return offset(t) - kept_offset_; }
  // Sequences that have a state from before timestep t.
  [[nodiscard]] std::size_t carried(std::size_t t) const { return t == 0 ? 0 : active(t - 1); }
  // The timestep of the group that is the first of this row's sequence.
  [[nodiscard]] std::size_t start(std::size_t row) const { return starts_[row]; }
  [[nodiscard]] std::size_t length(std::size_t row) const { return steps_ - starts_[row]; }

 private:
  [[nodiscard]] std::size_t begun(std::size_t t) const;

  std::span<std::size_t> members_;
  std::span<std::size_t> starts_;   // rising
  std::span<std::size_t> offsets_;  // of the timesteps of the window, and their end
  std::size_t rows_ = 0;
  std::size_t steps_ = 0;
  std::size_t window_begin_ = 0;
  std::size_t timesteps_ = 0;
  std::size_t segment_steps_ = 0;
  std::size_t segments_ = 1;
  std::size_t kept_ = 0;
  std::size_t kept_offset_ = 0;  // of its first timestep
};

// Timesteps that memory for windows has room for, of all sequences together: those of the whole
// windows, and of them those that layers keep at a time, all unless the windows are divided.
struct WindowTimesteps {
  std::size_t all = 0;
  std::size_t kept = 0;
  bool is_divided = false;
};

// Where the memory of a leaf begins in that for all of them.
struct FirstRows {
  std::size_t of_kept = 0;
  std::size_t of_all = 0;
};

// What memory for a minibatch depends on.
struct MinibatchSize {
  std::size_t rows = 0;              // sequences
  std::size_t steps = 0;             // timesteps of the longest sequence
  std::size_t window_timesteps = 0;  // of all sequences, of each the last `window` at most

  bool operator==(const MinibatchSize&) const = default;
  [[nodiscard]] MinibatchSize joined(const MinibatchSize& other) const;
};

// That of the `rows` longest sequences, which holds every minibatch of that size. `indices` has
// every index of the data; its order changes.
MinibatchSize largest_minibatch(const Dataset& data, std::size_t rows, std::size_t window,
                                std::span<std::size_t> indices);

// Orders indices by falling length of their sequence, equal lengths by index.
void order_by_length(const Dataset& data, std::span<std::size_t> members);

}  // namespace lockstep
