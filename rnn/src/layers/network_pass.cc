#include "layers/network_pass.h"

#include <algorithm>
#include <ranges>

#include "tuning.h"

namespace lockstep {
namespace {

// Before the window a layer keeps the timesteps of one block only, which the layer above reads.
std::size_t block_of(const Network& network, const RecurrentLayer::Limits& limits) {
  if (network.layers.size() == 1) return limits.together;
  const std::size_t rows = std::max<std::size_t>(1, limits.rows);
  const std::size_t blocks = kRowsOfBlock / rows / limits.together;
  return std::max<std::size_t>(1, blocks) * limits.together;
}

// Whether anybody reads the timesteps of the last layer later.
bool reads_window(const Network& network, Purpose purpose) {
  return purpose == Purpose::training || is_of_steps(head_of(network).targets);
}

// As take_windows has it.
RecurrentLayer::Limits limits_of(const LayerSize& size, const Network& network,
                                 RecurrentLayer::Limits limits) {
  const bool is_last = size.layer + 1 == network.layers.size();
  if (is_last && !reads_window(network, limits.purpose)) limits.window = 0;
  return limits;
}

}  // namespace

PackedNetwork::PackedNetwork(Workspace& workspace, const Network& network, Purpose purpose)
    : layers(workspace.take_each(
          layer_sizes(network),
          [&](const LayerSize& size) { return PackedLayer(workspace, size, purpose); })),
      output(workspace, network, purpose) {}

void PackedNetwork::pack(const Parameters& parameters, const Team& team) {
  std::span<const float> left = parameters.values();
  for (PackedLayer& layer : layers) {
    const std::size_t count = layer.size.parameters();
    layer.pack(left.first(count), team);
    left = left.subspan(count);
  }
  output.pack(left, team);
}

std::size_t PackedNetwork::recurrent_weights() const {
  std::size_t sum = 0;
  for (const PackedLayer& layer : layers) sum += layer.size.weights();
  return sum;
}

std::size_t PackedNetwork::panels() const {
  std::size_t most = 0;
  for (const PackedLayer& layer : layers) most = std::max(most, layer.panels());
  return most;
}

std::size_t timesteps_together(const PackedNetwork& weights, std::size_t rows) {
  std::size_t most = 1;
  for (const PackedLayer& layer : weights.layers) {
    most = std::max(most, timesteps_together(layer.size, rows, layer.fused));
  }
  return most;
}

Windows take_windows(Workspace& workspace, const Network& network, Purpose purpose,
                     std::size_t timesteps, std::size_t of_head) {
  const bool of_steps = is_of_steps(head_of(network).targets);
  Windows windows;
  windows.output = OutputMemory(workspace, network, purpose, of_steps ? of_head : 0);
  windows.layers = workspace.take_each(layer_sizes(network), [&](const LayerSize& size) {
    const bool is_read = reads_window(network, purpose) || size.layer + 1 < network.layers.size();
    return WindowMemory(workspace, size, purpose, is_read ? timesteps : 0);
  });
  return windows;
}

bool can_divide_windows(const Network& network) {
  return network.layers.size() == 1 || !network.is_bidirectional();
}

NetworkPass::NetworkPass(Workspace& workspace, const Network& network,
                         const RecurrentLayer::Limits& limits, const Dropout* dropout)
    : schedule(workspace, limits.rows, limits.window_steps()),
      layers(workspace.take_each(layer_sizes(network),
                                 [&](const LayerSize& size) {
                                   return RecurrentLayer(workspace, size, block_of(network, limits),
                                                         limits_of(size, network, limits));
                                 })),
      output(workspace, network, limits.rows, limits.purpose),
      segment_rows_(limits.segment_rows),
      levels_(network.layers.size()),
      block_(block_of(network, limits)),
      dropout_(dropout) {
  if (output.pool(false).empty()) return;
  for (RecurrentLayer& layer : layers) {
    const LayerSize& size = layer.size();
    if (size.layer + 1 == levels_) layer.pool_into(output.pool(size.backward));
  }
}

void NetworkPass::keep_windows_in(const Windows& memory, FirstRows first) {
  for (std::size_t i = 0; i < layers.size(); ++i) {
    layers[i].keep_window_in(memory.layers[i], first.of_layers);
  }
  output.keep_rows_in(memory.output, first.of_head);
}

void NetworkPass::divide_window() {
  if (segment_rows_ == 0) return;
  const auto sizes = layers | std::views::transform(&RecurrentLayer::size);
  schedule.divide(segment_steps(sizes, schedule.rows(), segment_rows_));
}

std::span<const RecurrentLayer> NetworkPass::of_layer(std::size_t level) const {
  const auto [first, end] = std::ranges::equal_range(
      layers, level, {}, [](const RecurrentLayer& layer) { return layer.size().layer; });
  return {first, end};
}

LayerInputs NetworkPass::inputs_of(const RecurrentLayer& layer, const Inputs& data) const {
  const std::size_t level = layer.size().layer;
  return level == 0 ? LayerInputs(data) : LayerInputs(of_layer(level - 1), dropout_);
}

LayerGradients NetworkPass::gradients_of(const RecurrentLayer& layer) const {
  const LayerSize& size = layer.size();
  if (size.layer + 1 == levels_) {
    return output.reads_all_steps() ? LayerGradients(output, size) : LayerGradients();
  }
  return {of_layer(size.layer + 1), size, dropout_};
}

// A layer needs only what the one below has made of the same timesteps, unless one is read
// backwards: then all are in the window.
void NetworkPass::forward(const Inputs& data, const PackedNetwork& weights, const Team& team) {
  const std::size_t window_begin = schedule.window_begin();
  const bool is_divided = schedule.segments() > 1;
  if (is_divided) keep_segment(0, team);
  std::size_t t = 0;
  while ((levels_ > 1 || is_divided) && t < window_begin) {
    const Range block{t, levels_ > 1 ? std::min(t + block_, window_begin) : window_begin};
    forward(data, weights, block, Run::first, team);
    t = block.end;
  }
  for (std::size_t i = 0; i < schedule.segments(); ++i) {
    if (is_divided) {
      for (const RecurrentLayer& layer : layers) layer.save_states(schedule, i, team);
      keep_segment(i, team);
    }
    const Range segment{i == 0 ? t : schedule.segment(i).begin, schedule.segment(i).end};
    forward(data, weights, segment, Run::first, team);
    if (output.is_of_steps()) read_steps(schedule.segment(i), team);
  }
  output.forward(schedule, last(), weights.output, team);
}

void NetworkPass::read_steps(Range timesteps, const Team& team) const {
  for (const RecurrentLayer& layer : last()) output.read_steps(schedule, layer, timesteps, team);
  team.barrier();
}

// Its first states are those that were saved.
void NetworkPass::keep_segment(std::size_t segment, const Team& team) {
  team.barrier();
  if (team.index() == 0) schedule.keep(segment);
  team.barrier();
  for (const RecurrentLayer& layer : layers) layer.restore_states(schedule, segment, team);
  team.barrier();
}

template <class Work>
void NetworkPass::for_directions(std::size_t level, const Team& team, const Work& work) {
  const std::span<const RecurrentLayer> directions = of_layer(level);
  const auto first = static_cast<std::size_t>(directions.data() - layers.data());
  if (directions.size() == 2 && team.size() % 2 == 0) {
    work(first + (team.index() < team.size() / 2 ? 0 : 1), team.half());
    return team.barrier();
  }
  for (std::size_t i = 0; i < directions.size(); ++i) work(first + i, team);
}

void NetworkPass::forward(const Inputs& data, const PackedNetwork& weights, Range timesteps,
                          Run run, const Team& team) {
  for (std::size_t level = 0; level < levels_; ++level) {
    for_directions(level, team, [&](std::size_t i, const Team& t) {
      layers[i].forward(inputs_of(layers[i], data), schedule, weights.layers[i], timesteps, run, t);
    });
  }
}

void NetworkPass::backward(const Inputs& data, const PackedNetwork& weights, const Team& team) {
  if (team.index() == 0) output.backward(schedule, last(), weights.output);
  team.barrier();
  for (std::size_t segment = schedule.segments(); segment-- > 0;) {
    if (segment != schedule.kept()) {
      keep_segment(segment, team);
      forward(data, weights, schedule.segment(segment), Run::again, team);
    }
    for (std::size_t level = levels_; level-- > 0;) {
      for_directions(level, team, [&](std::size_t i, const Team& t) {
        layers[i].backward(gradients_of(layers[i]), schedule, weights.layers[i], t);
      });
    }
  }
}

}  // namespace lockstep
