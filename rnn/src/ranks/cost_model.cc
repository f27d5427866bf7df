#include "ranks/cost_model.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <memory>
#include <utility>

#include "network/layer_size.h"
#include "network/tensors.h"
#include "ranks/gather.h"
#include "ranks/gradient_sum.h"
#include "ranks/slices.h"

namespace lockstep {
namespace {

Ranks::Traffic& operator+=(Ranks::Traffic& all, std::size_t bytes) {
  ++all.messages;
  all.bytes += bytes;
  return all;
}

// A rank that notes what it would exchange.
class NotingRank : public Ranks {
 public:
  NotingRank(int rank, int size) : Ranks(rank, size) {}
  [[nodiscard]] std::vector<Round> take_rounds() { return std::exchange(rounds_, {}); }

 private:
  void move(std::span<const Outgoing> outgoing, std::span<const Incoming> incoming) override {
    Round& round = rounds_.emplace_back();
    for (const Outgoing& message : outgoing) round.sent += message.bytes.size();
    for (const Incoming& message : incoming) round.received += message.bytes.size();
  }

  std::vector<Round> rounds_;
};

using RoundsOfRanks = std::vector<std::vector<Round>>;

// Rounds of each rank in a gather of parts, the bytes of the ranks.
RoundsOfRanks gather_rounds(const std::vector<std::size_t>& bytes_of_rank) {
  const auto size = static_cast<int>(bytes_of_rank.size());
  std::vector<std::size_t> bounds = {0};
  for (std::size_t place = 0; place < bytes_of_rank.size(); ++place) {
    const auto rank = static_cast<std::size_t>(rank_at(place, size));
    bounds.push_back(bounds.back() + bytes_of_rank[rank]);
  }
  const auto untouched = std::make_unique_for_overwrite<std::byte[]>(bounds.back());
  RoundsOfRanks rounds;
  for (int rank = 0; rank < size; ++rank) {
    NotingRank ranks(rank, size);
    Gather gather(ranks);
    gather({untouched.get(), bounds.back()}, bounds);
    rounds.push_back(ranks.take_rounds());
  }
  return rounds;
}

// Halving gives away in each round what the gather of the slices will bring back, the last first.
std::vector<Round> halving_rounds(std::vector<Round> of_gather) {
  std::ranges::reverse(of_gather);
  for (Round& round : of_gather) std::swap(round.sent, round.received);
  return of_gather;
}

// Each slice of each subtree to its owner.
RoundsOfRanks owner_rounds(const Slices& slices, int size, std::size_t leaves,
                           std::size_t section) {
  std::vector<std::size_t> subtrees;
  std::vector<std::size_t> floats;
  std::size_t all_subtrees = 0;
  std::size_t all_floats = 0;
  std::size_t owners = 0;
  for (int rank = 0; rank < size; ++rank) {
    subtrees.push_back(subtree_count(share(leaves, rank, size)));
    floats.push_back(slices.weights_of(rank, section).size());
    all_subtrees += subtrees.back();
    all_floats += floats.back();
    if (floats.back() > 0) ++owners;
  }
  RoundsOfRanks rounds;
  for (std::size_t rank = 0; rank < floats.size(); ++rank) {
    const std::size_t others = owners - (floats[rank] > 0 ? 1 : 0);
    const std::size_t theirs = floats[rank] > 0 ? all_subtrees - subtrees[rank] : 0;
    const Ranks::Traffic sent = {
        .messages = subtrees[rank] * others,
        .bytes = subtrees[rank] * (all_floats - floats[rank]) * sizeof(float)};
    const Ranks::Traffic received = {.messages = theirs,
                                     .bytes = theirs * floats[rank] * sizeof(float)};
    rounds.push_back({{sent, received}});
  }
  return rounds;
}

RoundsOfRanks section_rounds(const Slices& slices, int size, std::size_t leaves,
                             std::size_t section) {
  if (!GradientSum::halves(size, leaves)) return owner_rounds(slices, size, leaves, section);
  std::vector<std::size_t> bytes;
  bytes.reserve(static_cast<std::size_t>(size));
  for (int rank = 0; rank < size; ++rank) {
    bytes.push_back(slices.weights_of(rank, section).size() * sizeof(float));
  }
  RoundsOfRanks rounds = gather_rounds(bytes);
  for (std::vector<Round>& of_rank : rounds) of_rank = halving_rounds(of_rank);
  return rounds;
}

// The weights of all sections at once.
RoundsOfRanks weight_rounds(const Slices& slices, int size) {
  const auto untouched = std::make_unique_for_overwrite<float[]>(slices.float_count());
  RoundsOfRanks rounds;
  for (int rank = 0; rank < size; ++rank) {
    NotingRank ranks(rank, size);
    SliceGather gather(ranks, slices);
    gather({untouched.get(), slices.float_count()});
    rounds.push_back(ranks.take_rounds());
  }
  return rounds;
}

// Ranks wait for the slowest in each round; what a message costs is counted apart.
struct Exchange {
  double latency = 0;
  double moving = 0;

  [[nodiscard]] double total() const { return latency + moving; }
};

template <class RoundsOf>
Exchange exchange_of(const std::vector<StepTraffic>& all, const Link& link,
                     const RoundsOf& rounds_of) {
  Exchange seconds;
  for (std::size_t i = 0; i < rounds_of(all[0]).size(); ++i) {
    Exchange slowest;
    for (const StepTraffic& each : all) {
      const Round& round = rounds_of(each)[i];
      const std::uint64_t messages = std::max(round.sent.messages, round.received.messages);
      const std::uint64_t bytes = std::max(round.sent.bytes, round.received.bytes);
      const Exchange own = {static_cast<double>(messages) * link.latency,
                            static_cast<double>(bytes) / link.bandwidth};
      if (own.total() > slowest.total()) slowest = own;
    }
    seconds.latency += slowest.latency;
    seconds.moving += slowest.moving;
  }
  return seconds;
}

// Share of the time of a leaf that is spent on the way back through the layers below each section,
// by multiply-adds: backward there are twice as many, but for the inputs of the network, which have
// no gradient. The head is left out.
std::vector<double> shares_below(const Network& network, const Slices& slices) {
  double all = 0;
  std::vector<double> below(slices.section_count());
  for (const LayerSize& size : layer_sizes(network)) {
    const auto weights = static_cast<double>(size.weights());
    const auto of_inputs = static_cast<double>(size.inputs * size.input_columns().size());
    const double backward = 2 * weights - (size.layer == 0 ? of_inputs : 0);
    for (std::size_t s = 0; s < below.size(); ++s) {
      if (size.layer < slices.section(s).first_layer) below[s] += backward;
    }
    all += weights + backward;
  }
  for (double& work : below) work /= all;
  return below;
}

// A rank begins early if its leaves are one subtree; others wait for those that do not.
bool all_begin_early(int ranks, std::size_t leaves) {
  for (int rank = 0; rank < ranks; ++rank) {
    if (subtree_count(share(leaves, rank, ranks)) > 1) return false;
  }
  return true;
}

// Sections travel one after another, each once its gradients are known, in a rank's last leaf.
// `seconds`: of that leaf, or 0 where none travels early.
void add_sum(StepCost& cost, const std::vector<StepTraffic>& all, const Link& link,
             const std::vector<double>& below, double seconds) {
  double now = -seconds;  // until all is computed
  double moving = 0;
  for (std::size_t i = 0; i < all[0].sum.size(); ++i) {
    const Exchange exchange =
        exchange_of(all, link, [i](const StepTraffic& each) -> auto& { return each.sum[i]; });
    const double ready = -seconds * below[below.size() - 1 - i];
    now = std::max(now, ready) + exchange.total();
    moving += exchange.total();
    // What is hidden costs no latency either.
    cost.latency += std::min(exchange.latency, std::max(0.0, now));
  }
  cost.sum = std::max(0.0, now);
  cost.hidden = moving - cost.sum;
}

// Bytes of gradients that a rank adds to its own, at most.
std::uint64_t most_added(const std::vector<StepTraffic>& all) {
  std::uint64_t most = 0;
  for (const StepTraffic& each : all) {
    std::uint64_t bytes = 0;
    for (const std::vector<Round>& section : each.sum) {
      for (const Round& round : section) bytes += round.received.bytes;
    }
    most = std::max(most, bytes);
  }
  return most;
}

// By what most is missing to half the time on twice the ranks.
GainLimit limit_between(const StepCost& half, const StepCost& twice) {
  const double by_compute = twice.compute - half.compute / 2;
  const double by_exchange = twice.exchange() - half.exchange() / 2;
  if (by_compute > by_exchange) return GainLimit::leaves;
  return 2 * twice.latency > twice.exchange() ? GainLimit::latency : GainLimit::bandwidth;
}

}  // namespace

std::vector<StepTraffic> step_traffic(const Network& network, int ranks, std::size_t leaves) {
  std::vector<StepTraffic> traffic(static_cast<std::size_t>(ranks));
  if (ranks == 1) {
    traffic[0].slice = parameter_count(network);
    return traffic;
  }
  const Slices slices(network, ranks);
  std::vector<std::size_t> of_notes;
  for (int rank = 0; rank < ranks; ++rank) {
    const std::size_t numbers =
        slices.row_count_of(rank) + kLeafNumbers * share(leaves, rank, ranks).size();
    of_notes.push_back(numbers * sizeof(double) + sizeof(std::uint64_t));
  }
  const RoundsOfRanks notes = gather_rounds(of_notes);
  const RoundsOfRanks weights = weight_rounds(slices, ranks);
  for (std::size_t rank = 0; rank < traffic.size(); ++rank) {
    traffic[rank].notes = notes[rank];
    traffic[rank].weights = weights[rank];
    traffic[rank].slice = slices.weight_count_of(static_cast<int>(rank));
  }
  for (std::size_t section = slices.section_count(); section-- > 0;) {
    const RoundsOfRanks rounds = section_rounds(slices, ranks, leaves, section);
    for (std::size_t rank = 0; rank < traffic.size(); ++rank) {
      traffic[rank].sum.push_back(rounds[rank]);
    }
  }
  return traffic;
}

double seconds_of_leaves(const StepWork& work, std::size_t leaves) {
  if (leaves == 0) return 0;
  const std::size_t below = std::min<std::size_t>(std::bit_width(leaves), work.leaves.size()) - 1;
  const double seconds = work.leaves[below];
  const auto known = static_cast<double>(std::size_t{1} << below);
  const double share = (static_cast<double>(leaves) - known) / known;
  if (below + 1 == work.leaves.size()) return seconds * (1 + share);
  return seconds + share * (work.leaves[below + 1] - seconds);
}

StepCost step_cost(const Network& network, std::size_t leaves, int ranks, const Link& link,
                   const StepWork& work) {
  const auto size = static_cast<std::size_t>(ranks);
  StepCost cost{.ranks = ranks,
                .leaves = (leaves + size - 1) / size,
                .working_ranks = static_cast<double>(std::min(leaves, size)) / ranks};
  const std::vector<StepTraffic> traffic = step_traffic(network, ranks, leaves);
  std::size_t slice = 0;
  for (const StepTraffic& each : traffic) slice = std::max(slice, each.slice);
  const auto parameters = static_cast<double>(parameter_count(network));
  cost.compute =
      seconds_of_leaves(work, cost.leaves) +
      work.updating * static_cast<double>(slice) / parameters +
      work.adding * static_cast<double>(most_added(traffic)) / sizeof(float) / parameters;
  const Slices slices(network, ranks);
  const double of_last_leaf = all_begin_early(ranks, leaves) ? seconds_of_leaves(work, 1) : 0;
  add_sum(cost, traffic, link, shares_below(network, slices), of_last_leaf);
  const auto add = [&](double& seconds, std::vector<Round> StepTraffic::* part) {
    const Exchange exchange =
        exchange_of(traffic, link, [part](const StepTraffic& each) -> auto& { return each.*part; });
    seconds = exchange.total();
    cost.latency += exchange.latency;
  };
  add(cost.notes, &StepTraffic::notes);
  add(cost.weights, &StepTraffic::weights);
  return cost;
}

Gain gain_of(std::span<const StepCost> costs) {
  const StepCost* best = costs.data();
  GainLimit limit = GainLimit::none;
  for (const StepCost& next : costs.subspan(1)) {
    if (next.ranks != 2 * best->ranks) break;
    if (best->seconds() < kWorthwhile * next.seconds()) {
      limit = limit_between(*best, next);
      break;
    }
    best = &next;
  }
  return {best->ranks, costs[0].seconds() / best->seconds(), limit};
}

}  // namespace lockstep
