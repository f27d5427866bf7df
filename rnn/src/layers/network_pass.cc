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

// Whether a layer takes other segments than the one below (see NetworkPass::begins_stage).
bool is_apart_from_below(const Network& network, std::size_t level) {
  const std::vector<Layer>& layers = network.layers;
  if (level == 0 || level >= layers.size()) return false;
  return layers[level - 1].bidirectional || layers[level].bidirectional;
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
                     const WindowTimesteps& timesteps) {
  const bool of_steps = is_of_steps(head_of(network).targets);
  const bool by_segments = of_steps && timesteps.is_divided && !network.layers.back().bidirectional;
  const std::size_t of_head = by_segments ? timesteps.kept : timesteps.all;
  Windows windows;
  windows.output = OutputMemory(workspace, network, purpose, of_steps ? of_head : 0, by_segments);
  windows.layers = workspace.take_each(layer_sizes(network), [&](const LayerSize& size) {
    const bool is_read = reads_window(network, purpose) || size.layer + 1 < network.layers.size();
    const auto meets_other_stage = [&](std::size_t level) {
      return timesteps.is_divided && is_apart_from_below(network, level);
    };
    return WindowMemory(workspace, size, purpose, is_read ? timesteps : WindowTimesteps(),
                        meets_other_stage(size.layer + 1), meets_other_stage(size.layer));
  });
  return windows;
}

NetworkPass::NetworkPass(Workspace& workspace, const Network& network,
                         const RecurrentLayer::Limits& limits, const Dropout* dropout,
                         const LossSettings* loss)
    : schedule(workspace, limits.rows, limits.window_steps()),
      layers(workspace.take_each(layer_sizes(network),
                                 [&](const LayerSize& size) {
                                   return RecurrentLayer(workspace, size, block_of(network, limits),
                                                         limits_of(size, network, limits));
                                 })),
      output(workspace, network, limits.rows, limits.purpose),
      segment_rows_(limits.segment_rows),
      levels_(network.layers.size()),
      kept_(workspace.take<std::size_t>(network.layers.size())),
      block_(block_of(network, limits)),
      dropout_(dropout),
      loss_(loss) {
  if (output.pool(false).empty()) return;
  for (RecurrentLayer& layer : layers) {
    const LayerSize& size = layer.size();
    if (size.layer + 1 == levels_) layer.pool_into(output.pool(size.backward));
  }
}

void NetworkPass::keep_windows_in(const Windows& memory, const FirstRows& first) {
  for (std::size_t i = 0; i < layers.size(); ++i) layers[i].keep_window_in(memory.layers[i], first);
  output.keep_rows_in(memory.output, first);
}

void NetworkPass::divide_window() {
  if (segment_rows_ == 0) return;
  const auto sizes = layers | std::views::transform(&RecurrentLayer::size);
  schedule.divide(segment_steps(sizes, schedule.rows(), segment_rows_));
  std::ranges::fill(kept_, std::size_t{0});
}

std::span<const RecurrentLayer> NetworkPass::of_levels(Range levels) const {
  const auto level_of = [](const RecurrentLayer& layer) { return layer.size().layer; };
  const auto first = std::ranges::lower_bound(layers, levels.begin, {}, level_of);
  return {first, std::ranges::lower_bound(layers, levels.end, {}, level_of)};
}

bool NetworkPass::begins_stage(std::size_t level) const {
  return level == 0 || of_level(level - 1).size() > 1 || of_level(level).size() > 1;
}

Range NetworkPass::stage_from(std::size_t level) const {
  std::size_t end = level + 1;
  while (end < levels_ && !begins_stage(end)) ++end;
  return {level, end};
}

Range NetworkPass::stage_before(std::size_t level) const {
  std::size_t begin = level - 1;
  while (!begins_stage(begin)) --begin;
  return {begin, level};
}

LayerInputs NetworkPass::inputs_of(const RecurrentLayer& layer, const Inputs& data) const {
  const std::size_t level = layer.size().layer;
  return level == 0 ? LayerInputs(data) : LayerInputs(of_level(level - 1), dropout_);
}

LayerGradients NetworkPass::gradients_of(const RecurrentLayer& layer) const {
  const LayerSize& size = layer.size();
  if (size.layer + 1 == levels_) {
    return output.reads_all_steps() ? LayerGradients(output, size) : LayerGradients();
  }
  return {of_level(size.layer + 1), size, dropout_};
}

void NetworkPass::forward(const Inputs& data, const PackedNetwork& weights, const Team& team) {
  if (loss_ != nullptr && team.index() == 0) output.begin_loss();
  for (std::size_t level = 0; level < levels_; level = stage_from(level).end) {
    forward_segments(data, weights, stage_from(level), team);
  }
  if (!output.is_by_segments()) run_head(data, weights, Run::first, team);
}

void NetworkPass::forward_segments(const Inputs& data, const PackedNetwork& weights, Range stage,
                                   const Team& team) {
  const bool is_divided = schedule.segments() > 1;
  if (is_divided) keep_segment(stage, 0, team);
  std::size_t t = forward_to_window(data, weights, stage, team);
  for (std::size_t i = 0; i < schedule.segments(); ++i) {
    if (is_divided) {
      for (const RecurrentLayer& layer : of_levels(stage)) layer.save_states(schedule, i, team);
      keep_segment(stage, i, team);
    }
    const std::size_t end = schedule.segment(i).end;
    forward(data, weights, stage, {t, end}, Run::first, team);
    t = end;
    if (is_last(stage) && output.is_of_steps()) read_steps(team);
    if (is_last(stage) && output.is_by_segments()) run_head(data, weights, Run::first, team);
    for (const RecurrentLayer& layer : of_levels(stage)) layer.hand_up(schedule, team);
  }
  if (!is_last(stage)) team.barrier();
}

// Runs the timesteps before the window, and returns the next. A layer needs only what the one below
// has made of the same timesteps; of a stack where one is read backwards all are in the window.
std::size_t NetworkPass::forward_to_window(const Inputs& data, const PackedNetwork& weights,
                                           Range stage, const Team& team) {
  const std::size_t window_begin = schedule.window_begin();
  if (levels_ == 1 && schedule.segments() == 1) return 0;
  const std::size_t most = levels_ > 1 ? block_ : window_begin;
  for (std::size_t t = 0; t < window_begin; t += most) {
    const Range block{t, std::min(t + most, window_begin)};
    forward(data, weights, stage, block, Run::first, team);
  }
  return window_begin;
}

void NetworkPass::read_steps(const Team& team) const {
  for (const RecurrentLayer& layer : last()) output.read_steps(schedule, layer, team);
  team.barrier();
}

// From what it has read.
void NetworkPass::run_head(const Inputs& data, const PackedNetwork& weights, Run run,
                           const Team& team) {
  output.forward(schedule, last(), weights.output, team);
  if (loss_ == nullptr) return;
  team.barrier();
  if (team.index() == 0) {
    output.find_loss(data.data, schedule, weights.output.head, *loss_, run);
  }
}

void NetworkPass::find_state_gradients(const PackedNetwork& weights, const Team& team) {
  if (team.index() == 0) output.backward(schedule, last(), weights.output);
  team.barrier();
}

// Its first states are those that were saved.
void NetworkPass::keep_segment(Range stage, std::size_t segment, const Team& team) {
  team.barrier();
  if (team.index() == 0) {
    schedule.keep(segment);
    kept_[stage.begin] = segment;
  }
  team.barrier();
  for (const RecurrentLayer& layer : of_levels(stage)) {
    layer.restore_states(schedule, segment, team);
  }
  team.barrier();
}

// Keeps a segment that has been run before, with its states.
void NetworkPass::bring_back(const Inputs& data, const PackedNetwork& weights, Range stage,
                             std::size_t segment, const Team& team) {
  const bool is_at_hand = kept_[stage.begin] == segment;
  if (!is_at_hand || schedule.kept() != segment) keep_segment(stage, segment, team);
  if (is_at_hand) return;
  forward(data, weights, stage, schedule.segment(segment), Run::again, team);
  if (!is_last(stage) || !output.is_by_segments()) return;
  read_steps(team);
  run_head(data, weights, Run::again, team);
}

template <class Work>
void NetworkPass::for_directions(std::size_t level, const Team& team, const Work& work) {
  const std::span<const RecurrentLayer> directions = of_level(level);
  const auto first = static_cast<std::size_t>(directions.data() - layers.data());
  if (directions.size() == 2 && team.size() % 2 == 0) {
    work(first + (team.index() < team.size() / 2 ? 0 : 1), team.half());
    return team.barrier();
  }
  for (std::size_t i = 0; i < directions.size(); ++i) work(first + i, team);
}

void NetworkPass::forward(const Inputs& data, const PackedNetwork& weights, Range stage,
                          Range timesteps, Run run, const Team& team) {
  for (std::size_t level = stage.begin; level < stage.end; ++level) {
    for_directions(level, team, [&](std::size_t i, const Team& t) {
      layers[i].forward(inputs_of(layers[i], data), schedule, weights.layers[i], timesteps, run, t);
    });
  }
}

void NetworkPass::backward(const Inputs& data, const PackedNetwork& weights, const Team& team,
                           const std::function<void(std::size_t)>& on_layer) {
  if (!output.is_by_segments()) find_state_gradients(weights, team);
  for (std::size_t end = levels_; end > 0; end = stage_before(end).begin) {
    const Range stage = stage_before(end);
    for (std::size_t segment = schedule.segments(); segment-- > 0;) {
      bring_back(data, weights, stage, segment, team);
      if (is_last(stage) && output.is_by_segments()) find_state_gradients(weights, team);
      for (std::size_t level = stage.end; level-- > stage.begin;) {
        for_directions(level, team, [&](std::size_t i, const Team& t) {
          layers[i].backward(gradients_of(layers[i]), schedule, weights.layers[i], t);
        });
        if (segment == 0 && on_layer) on_layer(level);
      }
    }
  }
}

}  // namespace lockstep
