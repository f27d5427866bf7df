#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "forward.h"
#include "lockstep/rnn/dataset.h"
#include "lockstep/rnn/model.h"
#include "lockstep/threads.h"

namespace lockstep {

// A window that no sequence is longer than: no truncation.
inline constexpr std::size_t kWholeSequences = static_cast<std::size_t>(-1);
// The window of Options::truncate.
constexpr std::size_t window_of(std::size_t truncation) {
  return truncation == 0 ? kWholeSequences : truncation;
}

// Loss and gradients of one minibatch, by backpropagation through time: over whole sequences, or
// over the last `window` timesteps of each.
//
// The minibatch is dealt into groups of rows, as many as its shape says and never as many as there
// are threads; each group sums gradients of its own, which are then added in order. So every number
// is the same for any team. With several groups a thread takes whole groups, all timesteps, without
// meeting the others. Weights too large to be read once per group make a single group, and the team
// shares the columns of every timestep. A single group of small weights is left to one thread.
class TrainingStep {
 public:
  struct Totals {
    double loss = 0;  // sum over the minibatch
    std::size_t correct = 0;
    std::size_t timesteps = 0;         // gone forward through
    std::size_t window_timesteps = 0;  // gone back through
  };

  // Takes all memory for minibatches that `largest` holds.
  TrainingStep(const RnnShape& shape, const MinibatchSize& largest,
               std::size_t window = kWholeSequences);
  ~TrainingStep();
  // Bytes that the constructor takes, on the active backend.
  [[nodiscard]] static std::size_t bytes_for(const RnnShape& shape, const MinibatchSize& largest,
                                             std::size_t window = kWholeSequences);

  // Deals the minibatch into groups; one thread, before the team starts. Every index must be that
  // of a labelled sequence of `data`.
  void begin(const Dataset& data, std::span<const std::size_t> minibatch);

  // The largest team, up to `threads`, that is worth its wake-up and barriers for this minibatch.
  [[nodiscard]] int team_size(int threads) const;

  // Leaves the gradients of the summed loss in gradient(). Called by every thread of the team.
  // Throws nothing: a thread that left would keep the others waiting.
  void run(const RnnParameters& parameters, const Dataset& data, const Team& team) noexcept;

  // The two halves of `run`. The same team calls both; `backward` may be repeated.
  void forward(const RnnParameters& parameters, const Dataset& data, const Team& team) noexcept;
  void backward(const Team& team) noexcept;

  [[nodiscard]] const RnnParameters& gradient() const { return gradient_; }
  // L2 norm of all gradients; the same sum on every thread.
  [[nodiscard]] double gradient_norm() const;
  [[nodiscard]] Totals totals() const;
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  class Group;

  template <class Work>
  void for_my_groups(const Team& team, const Work& work);
  void pack(const RnnParameters& parameters, const Team& team);
  void add_groups(const Team& team);

  RnnShape shape_;
  std::size_t window_;
  std::size_t bytes_;
  PackedForward forward_;
  PackedMatrix hidden_transposed_;  // Wh^T
  PackedMatrix output_transposed_;  // Wy^T
  AlignedVector<float> rows_;       // Z of the windows of all groups, one after another
  std::vector<Group> groups_;
  std::size_t groups_in_use_ = 0;
  std::vector<std::size_t> ordered_;
  RnnParameters gradient_;
  std::vector<double> row_squares_;  // sum of squares of each row of the gradients
};

}  // namespace lockstep
