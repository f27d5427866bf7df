// What a training step over several ranks sends, and how long it takes.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "lockstep/rnn/network.h"
#include "lockstep/rnn/ranks.h"

namespace lockstep {

// The network between ranks. A message takes latency + bytes / bandwidth; a rank sends one after
// another, and receives at the same time.
struct Link {
  double latency;    // seconds of a message
  double bandwidth;  // bytes per second of a rank, each way
};

// What a rank sends and receives before it continues.
struct Round {
  Ranks::Traffic sent;
  Ranks::Traffic received;
};

// What a rank moves with a minibatch, in the rounds in which it does: the sum of the gradients,
// each section in its turn, what is known of rows and leaves, the updated weights.
struct StepTraffic {
  std::vector<std::vector<Round>> sum;  // of each section, the last of them first
  std::vector<Round> notes;
  std::vector<Round> weights;
  std::size_t slice = 0;  // weights that it updates
};

// Of each rank of `ranks`, that exchange minibatches of `leaves` leaves, a power of two.
[[nodiscard]] std::vector<StepTraffic> step_traffic(const Network& network, int ranks,
                                                    std::size_t leaves);

// Seconds of the work of one rank on one machine.
struct StepWork {
  // Of 1, 2, 4, ... leaves, at least of 1; more take proportionally as long as the most of these.
  std::vector<double> leaves;
  double adding = 0;    // one gradient of all weights to another
  double updating = 0;  // all weights
};
[[nodiscard]] double seconds_of_leaves(const StepWork& work, std::size_t leaves);

// Seconds of a step of the slowest rank.
struct StepCost {
  int ranks = 1;
  std::size_t leaves = 0;    // that a rank has, at most
  double working_ranks = 1;  // share of the ranks that have a leaf
  double compute = 0;        // with the additions of the sum
  double sum = 0;            // moving gradients that nothing is computed beside,
  double notes = 0;          // numbers of rows and leaves,
  double weights = 0;        // and weights
  double latency = 0;        // of the last three, what no bandwidth shortens
  double hidden = 0;         // moving gradients of upper layers while lower ones are computed

  [[nodiscard]] double exchange() const { return sum + notes + weights; }
  [[nodiscard]] double seconds() const { return compute + exchange(); }
};
[[nodiscard]] StepCost step_cost(const Network& network, std::size_t leaves, int ranks,
                                 const Link& link, const StepWork& work);

// What ends the gain of more ranks: that there are no more leaves for them and their threads, or
// what the link costs.
enum class GainLimit { none, leaves, bandwidth, latency };

// A doubling of the ranks is worth it if the step is faster by this factor.
inline constexpr double kWorthwhile = 1.2;

struct Gain {
  int ranks = 1;  // up to which each doubling is worth it
  double speed_up = 1;
  GainLimit limit = GainLimit::none;  // why the next one is not; none: it is not known
};
// Of costs of 1, 2, 4, ... ranks; one behind them of another number is left out.
[[nodiscard]] Gain gain_of(std::span<const StepCost> costs);

}  // namespace lockstep
