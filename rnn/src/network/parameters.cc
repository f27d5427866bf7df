#include "lockstep/rnn/parameters.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "binary.h"
#include "heads/head.h"
#include "lookup.h"
#include "network/layer_size.h"
#include "network/tensors.h"

namespace lockstep {
namespace {

void require_units(std::size_t size) {
  if (size > 0 && size <= kMaxUnits) return;
  throw InvalidArgument("a network has 1 to " + std::to_string(kMaxUnits) +
                        " features, hidden units and outputs, not " + std::to_string(size));
}

}  // namespace

void Network::require_valid() const {
  if (layers.empty() || layers.size() > kMaxLayers) {
    throw InvalidArgument("a network has 1 to " + std::to_string(kMaxLayers) +
                          " recurrent layers, not " + std::to_string(layers.size()));
  }
  require_units(features);
  require_units(outputs);
  for (const Layer& layer : layers) {
    require_units(layer.hidden);
    static_cast<void>(find_named(kCells, layer.cell, "cell"));
  }
  const Head& known = find_named(kHeads, head, "head");
  if (is_of_steps(known.targets) && pool != Pooling::last) {
    throw InvalidArgument("pool: the head " + head + " reads each timestep by itself");
  }
}

bool Network::is_bidirectional() const {
  return std::ranges::any_of(layers, &Layer::bidirectional);
}

std::vector<std::string> cell_names() { return names_of(kCells); }
TargetKind targets_of_head(const std::string& head) {
  return find_named(kHeads, head, "head").targets;
}

std::vector<std::string> head_names() { return names_of(kHeads); }

std::string layer_suffix(std::size_t layer, bool backward) {
  return "_l" + std::to_string(layer) + (backward ? "_reverse" : "");
}

std::vector<Tensor> tensors_of(const Network& network) {
  std::vector<Tensor> tensors;
  const auto add = [&](const std::string& name, std::size_t rows, std::size_t cols,
                       TensorRole role) {
    const std::size_t offset = tensors.empty() ? 0 : tensors.back().offset + tensors.back().size();
    tensors.push_back({name, rows, cols, offset, role});
  };
  for (const LayerSize& size : layer_sizes(network)) {
    const std::string suffix = layer_suffix(size.layer, size.backward);
    add("rnn.bias_ih" + suffix, 1, size.sums(), TensorRole::bias);
    add("rnn.weight_ih" + suffix, size.inputs, size.input_columns().size(),
        TensorRole::input_weights);
    add("rnn.weight_hh" + suffix, size.hidden, size.state_columns().size(),
        TensorRole::hidden_weights);
  }
  add("head.bias", 1, network.outputs, TensorRole::bias);
  add("head.weight", network.layers.back().outputs(), network.outputs, TensorRole::output_weights);
  return tensors;
}

std::size_t parameter_count(const Network& network) {
  const std::vector<Tensor> tensors = tensors_of(network);
  return tensors.back().offset + tensors.back().size();
}

void require_parameters(const Parameters& parameters, const char* function) {
  if (!parameters.empty()) return;
  throw InvalidArgument(std::string(function) + ": there are no parameters");
}

void require_channels(const Network& network, const Dataset& data, const std::string& where) {
  if (data.channels() == network.features) return;
  throw InvalidArgument(where + std::to_string(data.channels()) +
                        " channels, but the model takes " + std::to_string(network.features));
}

void require_training_data(const Parameters& parameters, const Dataset& data,
                           const std::string& what) {
  require_parameters(parameters, what.c_str());
  require_channels(parameters.network(), data, what + ": ");
  require_targets(parameters.network(), data, what + ": ");
  const std::size_t outputs = parameters.network().outputs;
  const int least = data.target_kind() == TargetKind::step_labels ? kNoLabel : 0;
  for (std::size_t i = 0; i < data.labels().size(); ++i) {
    const int label = data.labels()[i];
    if (label >= least && (label < 0 || static_cast<std::size_t>(label) < outputs)) continue;
    const bool of_steps = is_of_steps(data.target_kind());
    throw InvalidArgument(what + ": label " + std::to_string(label) + " of " +
                          (of_steps ? "timestep " : "sequence ") + std::to_string(i) +
                          " is not in [0, " + std::to_string(outputs) + ")");
  }
}

namespace {

void require_shares(const Dataset& data, const std::string& where) {
  for (std::size_t i = 0; i < data.size(); ++i) {
    for (const float target : data.targets(i)) {
      if (std::isnan(target) || (target >= 0 && target <= 1)) continue;
      throw InvalidArgument(where + "a target of sequence " + std::to_string(i) + " is " +
                            std::to_string(target) + ", and a label of head multilabel is 0 or 1");
    }
  }
}

}  // namespace

void require_targets(const Network& network, const Dataset& data, const std::string& where) {
  constexpr const char* kKinds[] = {"a class of each sequence", "a class of each timestep",
                                    "values of each sequence", "values of each timestep"};
  const auto text_of = [&](TargetKind kind) { return kKinds[static_cast<std::size_t>(kind)]; };
  const Head& head = head_of(network);
  if (head.targets != data.target_kind()) {
    throw InvalidArgument(where + "the head " + std::string(head.name) + " needs " +
                          text_of(head.targets) + ", and the data have " +
                          text_of(data.target_kind()));
  }
  if (network.head == "multilabel") require_shares(data, where);
  if (is_label(head.targets) || data.classes() == network.outputs) return;
  throw InvalidArgument(where + std::to_string(data.classes()) +
                        " values to learn, but the model has " + std::to_string(network.outputs) +
                        " outputs");
}

void require_whole_sequences(bool is_bidirectional, std::size_t truncate) {
  if (!is_bidirectional || truncate == 0) return;
  throw InvalidArgument(
      "truncate: a bidirectional network learns from whole sequences, as each of its outputs "
      "depends on all timesteps");
}

// NOLINTNEXTLINE(modernize-pass-by-value): it is part of the interface
Parameters::Parameters(const Network& network) : network_(network) {
  network_.require_valid();
  tensors_ = tensors_of(network_);
  values_.resize(parameter_count(network_));
}

std::span<const float> Parameters::operator[](std::string_view name) const {
  const auto tensor = std::ranges::find(tensors_, name, &Tensor::name);
  if (tensor == tensors_.end()) {
    throw InvalidArgument("there is no tensor '" + std::string(name) + "'");
  }
  return values().subspan(tensor->offset, tensor->size());
}

std::span<float> Parameters::operator[](std::string_view name) {
  const std::span<const float> found = std::as_const(*this)[name];
  return values().subspan(static_cast<std::size_t>(found.data() - values_.data()), found.size());
}

std::uint64_t weights_hash(const Parameters& parameters) {
  std::uint64_t hash = kFnvBasis;
  for (const float value : parameters.values()) {
    hash = fnv1a(hash, std::bit_cast<std::uint32_t>(value), sizeof value);
  }
  return hash;
}

}  // namespace lockstep
