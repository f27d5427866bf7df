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
#include "lockstep/threads.h"

namespace lockstep {

// The window of Options::truncate.
constexpr std::size_t window_of(std::size_t truncation) {
  return truncation == 0 ? kWholeSequences : truncation;
}

// Rows that each leaf keeps of a layer if it keeps `segments`-th parts of the window at a time, at
// least; never fewer than the shortest segment takes. 0, all, if that would be no less.
[[nodiscard]] std::size_t segment_rows_of(const Network& network, const MinibatchSize& largest,
                                          std::size_t window, std::size_t segments);

// Sequences that a part of a minibatch can have: those of as many leaves as batch_size makes.
[[nodiscard]] std::size_t rows_at_once(const Network& network, const Options& options);

// Parts that a minibatch has at most, of a data set of `sequences` sequences.
[[nodiscard]] std::size_t parts_of(const Options& options, std::size_t sequences);

// Loss and gradients of one minibatch, by backpropagation through time: over whole sequences, or
// over the last `window` timesteps of each.
//
// The minibatch is dealt into leaves, as many as its shape says. Each leaf sums gradients of its
// own, which are then added along a balanced binary tree, so every number is the same for any team.
// A thread takes whole leaves, all timesteps, without meeting the others. Where large weights make
// too few leaves, the team shares each leaf, a thread with columns of every timestep.
class TrainingStep {
 public:
  struct Totals {
    LossTotals loss;                   // of the minibatch
    std::size_t timesteps = 0;         // of the forward pass
    std::size_t window_timesteps = 0;  // of the backward pass
  };

  // For minibatches of up to `parts` times as many sequences as `largest` holds, computed in parts
  // that it holds; nothing takes memory later. `segment_rows`: rows of states that each leaf keeps
  // of a layer, at least those of least_segment_rows; 0: all.
  TrainingStep(Workspace& workspace, const Network& network, const MinibatchSize& largest,
               const LossSettings& settings = {}, std::size_t parts = 1,
               std::size_t segment_rows = 0);
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
  // asked at every leaf, the gradients are of no use.
  void run(const Parameters& parameters, const Inputs& data, const Team& team,
           StopRequest* stop = nullptr) noexcept;

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
  void assign_leaves(const Dataset& data, std::size_t part);
  void add_leaves(const Team& team);
  void add_parts(std::size_t part, const Team& team);
  void square_rows();
  [[nodiscard]] std::span<MatrixView> gradients_of(std::size_t tensor) const {
    return gradients_.subspan(tensor * leaves_.size(), leaves_in_use_);
  }

  std::vector<LayerSize> sizes_;
  LossSettings settings_;
  std::size_t window_;
  std::size_t segment_rows_;
  Dropout dropout_;
  PackedNetwork weights_;
  Windows windows_;  // of all leaves, one after another
  std::span<std::size_t> ordered_;
  std::span<float> gradient_;
  std::span<double> row_squares_;  // sum of squares of each row of the gradients
  std::vector<NetworkPass> leaves_;
  std::span<MatrixView> gradients_;    // of each tensor and leaf
  std::vector<FirstRows> first_rows_;  // of each leaf in windows_
  std::span<float> part_sums_;         // [level of the tree][parameters], of minibatches of parts
  std::span<const std::size_t> minibatch_;
  std::size_t all_leaves_ = 0;  // of the minibatch
  std::size_t leaves_in_use_ = 0;
  Totals done_;  // of the parts before
};

}  // namespace lockstep
