// One training step: follow a minibatch from data to gradients. The passes through time are in
// layers/recurrent_layer.cc, the update of the weights is in optimizers/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "heads/loss_settings.h"
#include "layers/network_pass.h"
#include "layers/row_schedule.h"
#include "layers/stop_request.h"
#include "layers/workspace.h"
#include "lockstep/rnn/dataset.h"
#include "lockstep/rnn/options.h"
#include "lockstep/rnn/parameters.h"
#include "lockstep/rnn/ranks.h"
#include "lockstep/threads.h"
#include "ranks/gradient_sum.h"

namespace lockstep {

// The window of Options::truncate.
constexpr std::size_t window_of(std::size_t truncation) {
  return truncation == 0 ? kWholeSequences : truncation;
}

// Rows that each leaf keeps of a layer if it keeps `segments`-th parts of the window at a time, at
// least; never fewer than the shortest segment takes. 0, all, if that would be no less.
[[nodiscard]] std::size_t segment_rows_of(const Network& network, const MinibatchSize& largest,
                                          const Options& options, std::size_t segments);

// Sequences that a part of a minibatch can have: those of as many leaves as batch_size makes.
[[nodiscard]] std::size_t rows_at_once(const Network& network, const Options& options);

// Sequences that a leaf has at least, if the minibatch has as many.
[[nodiscard]] std::size_t leaf_rows_of(const Network& network, const Options& options);

// Leaves of a minibatch of `rows` sequences: a power of two.
[[nodiscard]] std::size_t leaf_count(std::size_t leaf_rows, std::size_t rows);

// Parts that a minibatch has at most, of a data set of `sequences` sequences.
[[nodiscard]] std::size_t parts_of(const Options& options, std::size_t sequences);

// Loss and gradients of one minibatch, by backpropagation through time: over whole sequences, or
// over the last `window` timesteps of each.
//
// The minibatch is dealt into leaves, as many as its shape says. Each leaf sums gradients of its
// own, which are then added along a balanced binary tree, so every number is the same for any team.
// A thread takes whole leaves, all timesteps, without meeting the others. Where large weights make
// too few leaves, the team shares each leaf, a thread with columns of every timestep. A rank takes
// its share of the leaves, and has the sum of all ranks in its slice of the gradient.
class TrainingStep {
 public:
  struct Totals {
    LossTotals loss;                   // of the minibatch
    std::size_t timesteps = 0;         // of the forward pass
    std::size_t window_timesteps = 0;  // of the backward pass
  };

  // Bits that ranks exchange with a minibatch. By kStop the minibatch is of no use.
  enum Notice : std::uint64_t { kStop = 1, kFail = 2, kCheckpoint = 4 };

  // For minibatches of up to `parts` times as many sequences as `largest` holds, computed in parts
  // that it holds; nothing takes memory later. `segment_rows`: rows of states that each leaf keeps
  // of a layer, at least those of least_segment_rows; 0: all. `ranks` may be null.
  TrainingStep(Workspace& workspace, const Network& network, const MinibatchSize& largest,
               const LossSettings& settings = {}, std::size_t parts = 1,
               std::size_t segment_rows = 0, Ranks* ranks = nullptr);
  // Its parts refer to each other.
  TrainingStep(const TrainingStep&) = delete;
  TrainingStep& operator=(const TrainingStep&) = delete;

  // For other data.
  void set_class_weights(std::vector<float> weights) {
    settings_.class_weights = std::move(weights);
  }

  // Deals the minibatch into leaves; one thread, before the team starts. Every index must be that
  // of a labelled sequence of `data`. `update`: the number of those before, for the dropout.
  void begin(const Dataset& data, std::span<const std::size_t> minibatch, std::uint64_t update = 0);

  // The largest team, up to `threads`, that is worth its wake-up and barriers for this minibatch.
  [[nodiscard]] int team_size(int threads) const;

  // Leaves the gradients of the summed loss in gradient(). Called by every thread of the team, once
  // after each `begin` with a team of one size: leaves of a thread share memory afterwards.
  // Throws nothing: a thread that left would keep the others waiting. If `stop` comes, which is
  // asked at every leaf, or ranks have failed, the gradients are of no use (is_void). `notices`, of
  // thread 0, go to all ranks.
  void run(const Parameters& parameters, const Inputs& data, const Team& team,
           StopRequest* stop = nullptr, std::uint64_t notices = 0) noexcept;
  // Of all ranks, with the minibatch that was run.
  [[nodiscard]] std::uint64_t notices() const { return notices_; }
  [[nodiscard]] bool is_void() const {
    return (notices_ & (kStop | kFail)) != 0 || ranks_sum_.has_failed();
  }

  // Of several ranks, how the slices of all come together; on one thread.
  void gather(std::span<float> weights) { ranks_sum_.gather(weights); }
  [[nodiscard]] bool ranks_have_failed() const { return ranks_sum_.has_failed(); }
  void rethrow() const { ranks_sum_.rethrow(); }
  // Leaves of a minibatch the sequences that this rank would take.
  void keep_own(const Dataset& data, std::vector<std::size_t>& minibatch) const;

  // The two halves of `run`, of a minibatch of one part. The same team calls both; `backward` may
  // be repeated.
  void forward(const Parameters& parameters, const Inputs& data, const Team& team) noexcept;
  void backward(const Inputs& data, const Team& team) noexcept;

  // As Parameters::values.
  [[nodiscard]] std::span<const float> gradient() const { return gradient_; }
  // L2 norm of all gradients; the same sum on every thread.
  [[nodiscard]] double gradient_norm() const;
  [[nodiscard]] Totals totals() const;

 private:
  [[nodiscard]] bool shares_leaves(int team_size) const;
  [[nodiscard]] Range my_leaves(const Team& team) const;
  template <class Work>
  void for_my_leaves(const Team& team, const Work& work, StopRequest* stop = nullptr);
  [[nodiscard]] bool pays_to_begin_early() const;
  void add_section_early(std::size_t section, const Team& team);
  [[nodiscard]] Range next_part(Range leaves) const;
  void assign_leaves(const Dataset& data, Range part);
  bool run_leaves(const Inputs& data, const Team& team, StopRequest* stop);
  void add_leaves(const Team& team) { add_leaves({0, row_squares_.size()}, team); }
  void add_leaves(Range rows, const Team& team);
  void add_to_subtrees(const Team& team);
  void fill_subtrees();
  void note_totals();
  [[nodiscard]] Totals totals_of(std::size_t leaf) const;
  void square_rows(const Team& team);
  [[nodiscard]] std::span<MatrixView> gradients_of(std::size_t tensor) const {
    return gradients_.subspan(tensor * leaves_.size(), leaves_in_use_);
  }

  std::vector<LayerSize> sizes_;
  LossSettings settings_;
  std::size_t window_;
  std::size_t segment_rows_;
  std::size_t leaf_rows_;    // sequences of a leaf, at least
  std::size_t most_leaves_;  // of a minibatch
  Dropout dropout_;
  PackedNetwork weights_;
  std::span<std::size_t> ordered_;
  std::span<float> gradient_;
  std::span<double> row_squares_;  // sum of squares of each row of the gradients
  GradientSum ranks_sum_;
  std::span<double> leaf_numbers_;  // [leaves of the minibatch][kLeafNumbers]: their totals
  Windows windows_;                 // of the leaves in memory, one after another
  std::vector<NetworkPass> leaves_;
  std::span<MatrixView> gradients_;    // of each tensor and leaf
  std::vector<FirstRows> first_rows_;  // of each leaf in windows_
  std::span<float> subtree_sums_;      // [sums][parameters], of minibatches in parts
  std::vector<Subtree> subtrees_;      // summed, in the order of their leaves
  std::span<const std::size_t> minibatch_;
  std::size_t all_leaves_ = 0;  // of the minibatch
  Range own_leaves_;            // of them, of this rank
  Range part_;                  // of these, in memory
  std::size_t leaves_in_use_ = 0;
  bool begins_early_ = false;  // to sum sections up
  std::uint64_t notices_ = 0;
};

}  // namespace lockstep
