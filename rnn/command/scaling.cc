#include "scaling.h"

#include <algorithm>
#include <array>
#include <bit>

#include "lockstep/backend.h"
#include "lockstep/threads.h"
#include "network/tensors.h"
#include "results.h"
#include "text.h"

namespace lockstep::command {
namespace {

// Sequences below which a leaf makes poor use of a thread.
constexpr std::size_t kFewestRows = 8;
constexpr std::size_t kMostSequences = 65536;  // of a minibatch that is timed

Network network_of(const InfoCommand& command) {
  const Options& options = command.options;
  const Layer layer{
      .cell = options.cell, .hidden = options.hidden, .bidirectional = options.bidirectional};
  Network network{.features = command.features,
                  .layers = std::vector<Layer>(options.layers, layer),
                  .pool = options.pool,
                  .outputs = command.classes};
  network.require_valid();
  return network;
}

std::string seconds_text(double seconds) {
  if (seconds >= 1) return format("%.3g s", seconds);
  return seconds >= 1e-3 ? format("%.3g ms", seconds * 1e3) : format("%.3g us", seconds * 1e6);
}

std::string leaf_count_text(const Scaling& scaling) {
  return scaling.leaves == 1 ? "1 leaf" : format("%zu leaves", scaling.leaves);
}

std::string threads_text(const Scaling& scaling) {
  return counted(static_cast<std::size_t>(scaling.threads), "thread");
}

// How more ranks would get a leaf, and their threads.
std::string more_leaves(const Scaling& scaling) {
  const auto ranks = static_cast<std::size_t>(scaling.costs.back().ranks);
  const auto threads = static_cast<std::size_t>(scaling.threads);
  const std::size_t leaves = std::bit_floor(std::min(ranks * threads, scaling.rows / kFewestRows));
  if (leaves <= scaling.leaves) {
    return "a larger --batch-size would make more, and lockstep sweep trains many seeds, folds or "
           "settings side by side";
  }
  return format("--leaf-rows %zu would let %zu ranks share it, but changes the results",
                scaling.rows / leaves, std::min(ranks, leaves));
}

// Why the ranks behind the gain are not worth it, and what to do.
std::string limit_text(const Scaling& scaling) {
  if (scaling.gain.limit == GainLimit::leaves) {
    return "a minibatch has " + leaf_count_text(scaling) +
           (scaling.threads > 1 ? " for ranks of " + threads_text(scaling) : "") + "; " +
           more_leaves(scaling);
  }
  const StepCost& next =
      *std::ranges::find(scaling.costs, 2 * scaling.gain.ranks, &StepCost::ranks);
  return format("on %d ranks the exchange would take ", next.ranks) +
         seconds_text(next.exchange()) + " of " + seconds_text(next.seconds()) +
         ", most of it by the " + limit_name(scaling.gain.limit) +
         (scaling.gain.limit == GainLimit::latency
              ? "; use lockstep sweep to train many seeds, folds or settings side by side"
              : "; a faster link or a larger --batch-size would help");
}

std::string advice_on(const Scaling& scaling) {
  const Gain& gain = scaling.gain;
  if (gain.ranks == 1) return "It does not gain: " + limit_text(scaling) + ".";
  const std::string gains =
      format("It gains up to %d ranks, where it is %.3g times as fast", gain.ranks, gain.speed_up);
  return gains + (gain.limit == GainLimit::none ? "." : ": " + limit_text(scaling) + ".");
}

std::string leaves_text(const StepCost& cost) {
  return (cost.working_ranks < 1 ? "0 or " : "") + std::to_string(cost.leaves);
}

std::string right(const std::string& text, std::size_t width) {
  return std::string(width - std::min(width, text.size()), ' ') + text;
}

}  // namespace

const char* limit_name(GainLimit limit) {
  constexpr std::array kNames = {"none", "leaves", "bandwidth", "latency"};
  return kNames[static_cast<std::size_t>(limit)];
}

Scaling scaling_of(const InfoCommand& command) {
  const Options& options = command.options;
  if (options.batch_size > kMostSequences) {
    throw UsageError(format("--batch-size: with --ranks at most %zu, found '%zu'", kMostSequences,
                            options.batch_size));
  }
  Scaling scaling{.network = network_of(command),
                  .parameters = 0,
                  .rows = options.batch_size,
                  .length = command.length,
                  .leaves = 0,
                  .threads = resolve_threads(options.threads),
                  .link = {.latency = command.latency, .bandwidth = command.bandwidth}};
  const StepTrial trial{scaling.network, options, scaling.rows, scaling.length};
  scaling.parameters = parameter_count(scaling.network);
  scaling.leaves = trial.leaves();
  scaling.timed = time_step(trial);
  const auto most = static_cast<int>(command.ranks);
  for (int ranks = 1; ranks < most; ranks *= 2) {
    scaling.costs.push_back(
        step_cost(scaling.network, scaling.leaves, ranks, scaling.link, scaling.timed.work));
  }
  scaling.costs.push_back(
      step_cost(scaling.network, scaling.leaves, most, scaling.link, scaling.timed.work));
  scaling.gain = gain_of(scaling.costs);
  scaling.advice = advice_on(scaling);
  return scaling;
}

std::string scaling_text(const Scaling& scaling) {
  std::string text = "network    " + layers_text(scaling.network) +
                     format(", %zu features, %zu classes: %zu parameters\n",
                            scaling.network.features, scaling.network.outputs, scaling.parameters);
  text += "minibatch  " + counted(scaling.rows, "sequence") + " of " +
          counted(scaling.length, "timestep") + ": " + leaf_count_text(scaling) + "\n";
  text += "rank       " + threads_text(scaling) + " of this machine, backend " +
          std::string(active_backend().name);
  const TimedStep& timed = scaling.timed;
  if (timed.length < scaling.length || timed.leaf_rows < scaling.rows / scaling.leaves) {
    text += format("; timed on %zu x %zu timesteps", timed.leaf_rows, timed.length);
  }
  text += "\nlink       " + seconds_text(scaling.link.latency) +
          format(" a message, %.3g bytes/s a rank\n\n", scaling.link.bandwidth) +
          "ranks  leaves of each       step   exchange  speed-up\n";
  for (const StepCost& cost : scaling.costs) {
    text += format("%5d  ", cost.ranks) + right(leaves_text(cost), 14) +
            right(seconds_text(cost.seconds()), 11) +
            right(cost.ranks == 1 ? "-" : seconds_text(cost.exchange()), 11) +
            format("  %8.2f\n", scaling.speed_up(cost));
  }
  return text + "\n" + scaling.advice + "\n";
}

}  // namespace lockstep::command
