#include "files/model_file.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "binary.h"
#include "files/atomic_file.h"
#include "files/safetensors.h"
#include "files/strict_json.h"
#include "lockstep/gemm.h"
#include "lockstep/rnn/options.h"
#include "lookup.h"
#include "network/layer_size.h"
#include "network/tensors.h"

namespace lockstep {
namespace {

using safetensors::Shape;

// Fails with the name `what` unless all `values` are finite.
void require_finite(std::span<const float> values, const std::string& what) {
  if (!std::ranges::all_of(values, [](float value) { return std::isfinite(value); })) {
    throw std::runtime_error(what + " holds NaN or infinity");
  }
}

constexpr const char* kMetadataKey = "lockstep";

// Version 1 has no cells: there is one layer, of cell tanh.
constexpr std::uint64_t kVersion = 2;

// Kinds have the names that Options gives them; version 0.1 wrote "per_" before two of them.
Normalization parse_normalization(const Json& text) {
  auto kind = text.at("kind").get<std::string>();
  if (kind == "per_channel" || kind == "per_series") kind.erase(0, 4);
  Options options;
  try {
    options.set("normalize", kind);
  } catch (const std::invalid_argument&) {
    throw std::runtime_error("its kind of normalization is unknown");
  }
  Normalization normalization{.kind = options.normalize, .mean = {}, .scale = {}};
  if (normalization.kind == NormalizationKind::channel) {
    normalization.mean = text.at("mean").get<std::vector<float>>();
    normalization.scale = text.at("scale").get<std::vector<float>>();
  }
  return normalization;
}

bool has_numbers(const Network& network) {
  return network.head == "regress" || network.head == "regress_steps";
}

std::vector<std::string> cells_of(const Network& network) {
  std::vector<std::string> cells(network.layers.size());
  std::ranges::transform(network.layers, cells.begin(), &Layer::cell);
  return cells;
}

std::string names_text(const std::vector<std::string>& names) {
  try {
    return json_text(names);
  } catch (const JsonError&) {
    throw std::runtime_error("the name of a class or a channel is not valid UTF-8");
  }
}

// What a model file holds beside its tensors, as JSON text.
std::string encode_metadata(const ModelParts& model) {
  require_whole(model);
  const Network& network = model.parameters.network();
  Options options;
  options.normalize = model.normalization.kind;
  options.pool = network.pool;
  JsonTexts normalization = {{"kind", json_text(options.get("normalize"))}};
  if (model.normalization.kind == NormalizationKind::channel) {
    normalization["mean"] = json_text(model.normalization.mean);
    normalization["scale"] = json_text(model.normalization.scale);
  }
  JsonTexts metadata = {{"version", json_text(kVersion)},
                        {"cells", json_text(cells_of(network))},
                        {"head", json_text(network.head)},
                        {"pool", json_text(options.get("pool"))},
                        {"class_names", names_text(model.class_names)},
                        {"normalization", json_object(normalization)},
                        {"target_mean", json_text(model.targets.mean)},
                        {"target_scale", json_text(model.targets.scale)}};
  if (!model.channel_names.empty()) metadata["channel_names"] = names_text(model.channel_names);
  if (model.missing.kind != MissingKind::fail) {
    options.missing = model.missing.kind;
    metadata["missing"] = json_object({{"kind", json_text(options.get("missing"))},
                                       {"mean", json_text(model.missing.mean)},
                                       {"masked", json_text(model.missing.masked)}});
  }
  if (has_numbers(network)) {
    options.loss = model.loss;
    metadata["loss"] = json_text(options.get("loss"));
    metadata["delta"] = json_text(model.delta);
  }
  return json_object(metadata);
}

void require_known(const char* what, const std::string& word,
                   const std::vector<std::string>& known) {
  if (std::ranges::find(known, word) != known.end()) return;
  throw std::runtime_error("its " + std::string(what) + " " + quote(word) + " is unknown");
}

// Sets an option to what the metadata has, if they have it.
void read_option(const Json& metadata, const char* name, Options& options) {
  const std::string text = metadata.value_or(name, options.get(name));
  try {
    options.set(name, text);
  } catch (const std::invalid_argument&) {
    throw std::runtime_error("its " + std::string(name) + " " + quote(text) + " is unknown");
  }
}

MissingRule parse_missing(const Json& text) {
  Options options;
  try {
    options.set("missing", text.at("kind").get<std::string>());
  } catch (const std::invalid_argument&) {
    throw std::runtime_error("what it does about missing values is unknown");
  }
  return {.kind = options.missing,
          .mean = text.at("mean").get<std::vector<float>>(),
          .masked = text.at("masked").get<std::vector<std::size_t>>()};
}

// Reads the layers' cells and the head, which are ones that this knows, class names and
// normalization. Whether they fit the tensors is not checked.
void decode_metadata(const std::string& text, Network& network, ModelParts& model) {
  const Json metadata = parse_strict_json(text);
  try {
    const auto version = metadata.at("version").get<std::uint64_t>();
    if (version != 1 && version != kVersion) {
      throw std::runtime_error("its version is " + quote(std::to_string(version)) +
                               ", expected up to " + std::to_string(kVersion));
    }
    if (version == kVersion) {
      network.layers.clear();
      for (const std::string& cell : metadata.at("cells").get<std::vector<std::string>>()) {
        require_known("cell", cell, cell_names());
        network.layers.push_back({.cell = cell});
      }
      if (network.layers.empty()) throw std::runtime_error("it names no cell");
      network.head = metadata.at("head").get<std::string>();
      require_known("head", network.head, head_names());
      Options options;
      options.pool = Pooling::last;
      read_option(metadata, "pool", options);
      read_option(metadata, "loss", options);
      network.pool = options.pool;
      model.loss = options.loss;
      model.delta = metadata.value_or("delta", 1.0);
    }
    model.class_names = metadata.at("class_names").get<std::vector<std::string>>();
    model.normalization = parse_normalization(metadata.at("normalization"));
    model.channel_names = metadata.value_or("channel_names", std::vector<std::string>());
    const Json* const missing = metadata.find("missing");
    if (missing != nullptr) model.missing = parse_missing(*missing);
    model.targets.mean = metadata.value_or("target_mean", std::vector<float>());
    model.targets.scale = metadata.value_or("target_scale", std::vector<float>());
  } catch (const JsonError&) {
    throw std::runtime_error(
        "its metadata lacks version, cells, head, class_names or normalization, or one is of a "
        "wrong type");
  }
}

// What tensors of the recurrent layer and of the head are called in a file, up to the last part.
struct Prefixes {
  std::string rnn = "rnn.";
  std::string head = "head.";
};

// Columns of a tensor of the network, and the rows of a file's that hold them.
struct Part {
  std::size_t column;
  std::size_t row;
  std::size_t count;
  bool is_added = false;  // to what the columns have: the second bias of PyTorch
};

// A tensor of a file: that of the network, transposed, its gates in PyTorch's order.
struct FileTensor {
  std::string name;
  Tensor tensor;
  Shape shape;
  std::vector<Part> parts;
};

// Gate by gate: the sums that the columns of a tensor are for.
std::vector<Part> parts_of(const LayerSize& layer, Range sums, std::size_t first_column) {
  std::vector<Part> parts;
  for (std::size_t s = sums.begin; s < sums.end; ++s) {
    parts.push_back({.column = (s - first_column) * layer.hidden,
                     .row = layer.cell->torch_gates[s] * layer.hidden,
                     .count = layer.hidden});
  }
  return parts;
}

FileTensor file_tensor(const std::string& name, const Tensor& tensor, std::vector<Part> parts) {
  std::size_t rows = 0;
  for (const Part& part : parts) rows += part.count;
  const bool is_vector = tensor.role == TensorRole::bias;
  return {name, tensor, is_vector ? Shape{rows} : Shape{rows, tensor.rows}, std::move(parts)};
}

// The second bias of PyTorch, of which the network has the part that cannot be added to the first.
FileTensor second_bias(const std::string& name, const Tensor& bias, const LayerSize& layer) {
  std::vector<Part> parts = parts_of(layer, layer.cell->state_sums, 0);
  for (Part& part : parts) part.is_added = part.column < layer.input_columns().end;
  return file_tensor(name, bias, std::move(parts));
}

// Both biases of PyTorch are read; the second is written as nothing where it can be part of the
// first.
std::vector<FileTensor> file_tensors(const Network& network, const Prefixes& prefixes) {
  std::vector<FileTensor> tensors;
  const auto add = [&](const std::string& prefix, const Tensor& tensor, std::vector<Part> parts) {
    const std::string last = tensor.name.substr(tensor.name.find('.') + 1);
    tensors.push_back(file_tensor(prefix + last, tensor, std::move(parts)));
  };
  const std::vector<Tensor> own = tensors_of(network);
  auto next = own.begin();
  for (const LayerSize& layer : layer_sizes(network)) {
    const Range of_inputs = layer.cell->input_sums;
    const Range of_states = layer.cell->state_sums;
    const std::string second = "bias_hh" + layer_suffix(layer.layer, layer.backward);
    add(prefixes.rnn, *next, parts_of(layer, of_inputs, 0));
    tensors.push_back(second_bias(prefixes.rnn + second, *next++, layer));
    add(prefixes.rnn, *next++, parts_of(layer, of_inputs, of_inputs.begin));
    add(prefixes.rnn, *next++, parts_of(layer, of_states, of_states.begin));
  }
  for (; next != own.end(); ++next) {
    add(prefixes.head, *next, {{.column = 0, .row = 0, .count = next->cols}});
  }
  return tensors;
}

std::vector<safetensors::Tensor> encode_tensors(const Parameters& p) {
  std::vector<safetensors::Tensor> tensors;
  for (const FileTensor& f : file_tensors(p.network(), {})) {
    const Tensor& t = f.tensor;
    // x + -0 is x for every x, so a model that is read again has the same bits; +0 would change -0.
    std::vector<float> values(f.shape[0] * t.rows, -0.0f);
    for (const Part& part : f.parts) {
      if (part.is_added) continue;
      transpose(t.rows, part.count, p[t.name].data() + part.column, t.cols,
                values.data() + part.row * t.rows, t.rows);
    }
    require_finite(values, "tensor " + quote(f.name));
    tensors.push_back({f.name, f.shape, std::move(values)});
  }
  return tensors;
}

// Puts what a file has of a tensor in its place.
void decode_tensor(const FileTensor& f, const std::vector<float>& values, std::span<float> to) {
  require_finite(values, "tensor " + quote(f.name));
  for (const Part& part : f.parts) {
    const float* from = values.data() + part.row * f.tensor.rows;
    const std::span<float> columns = to.subspan(part.column);
    if (part.is_added) {
      const std::span<float> sums = columns.first(part.count);
      std::ranges::transform(sums, std::span(from, part.count), sums.begin(), std::plus<>());
      require_finite(sums, "the sum of its two biases");
    } else {
      transpose(part.count, f.tensor.rows, from, f.tensor.rows, columns.data(), f.tensor.cols);
    }
  }
}

// The names of tensors for a message.
std::string tensors_text(const std::vector<std::string>& names) {
  constexpr std::size_t kMost = 12;
  std::string text;
  for (std::size_t i = 0; i < std::min(kMost, names.size()); ++i) {
    text += (i > 0 ? ", " : "") + quote(names[i]);
  }
  return names.size() > kMost ? text + ", ..." : text;
}

std::vector<std::string> names_in(const safetensors::Reader& file) {
  std::vector<std::string> names;
  for (const auto& [name, info] : file.tensors()) names.push_back(name);
  return names;
}

// The tensors called `name` behind a prefix that ends with a '.', or behind none.
std::vector<std::string> prefixes_of(const safetensors::Reader& file, const std::string& name) {
  std::vector<std::string> prefixes;
  for (const auto& [tensor, info] : file.tensors()) {
    if (tensor == name || tensor.ends_with("." + name)) {
      prefixes.push_back(tensor.substr(0, tensor.size() - name.size()));
    }
  }
  return prefixes;
}

// Whatever a module calls its parts: a file has one stack of recurrent layers and one matrix
// beside.
Prefixes find_prefixes(const safetensors::Reader& file) {
  constexpr const char* kStates = "weight_hh_l0";
  constexpr const char* kHead = "weight";
  const std::vector<std::string> rnn = prefixes_of(file, kStates);
  if (rnn.size() != 1) {
    throw std::runtime_error(
        (rnn.empty() ? "it has no tensor " : "it has more than one tensor ") + quote(kStates) +
        ", expected one stack of recurrent layers: " + tensors_text(names_in(file)));
  }
  const std::vector<std::string> head = prefixes_of(file, kHead);
  if (head.size() != 1) {
    throw std::runtime_error(
        (head.empty() ? "it has no tensor " : "it has more than one tensor ") + quote(kHead) +
        ", expected one linear layer to the outputs: " + tensors_text(names_in(file)));
  }
  return {.rnn = rnn[0], .head = head[0]};
}

const Shape& shape_of(const safetensors::Reader& file, const std::string& name) {
  const auto found = file.tensors().find(name);
  if (found == file.tensors().end()) throw std::runtime_error("it has no tensor " + quote(name));
  return found->second.shape;
}

const Shape& matrix_shape(const safetensors::Reader& file, const std::string& name) {
  const Shape& shape = shape_of(file, name);
  if (shape.size() == 2 && shape[0] > 0 && shape[1] > 0) return shape;
  throw std::runtime_error("tensor " + quote(name) + " has shape " + shape_text(shape) +
                           ", expected a matrix");
}

// The cell of a file that names none, by how many gates its matrix of states has.
std::string cell_of(const std::string& tensor, const Shape& shape) {
  for (const Cell* cell : kCells) {
    if (cell->state_sums.size() * shape[1] == shape[0]) return std::string(cell->name);
  }
  throw std::runtime_error("tensor " + quote(tensor) + " has shape " + shape_text(shape) +
                           ", expected 1, 3 or 4 times as many rows as columns");
}

// Layers and directions are those that the file has matrices of; cells that nobody named are found
// from them.
void find_sizes(const safetensors::Reader& file, const Prefixes& prefixes, Network& network) {
  const auto states_of = [&](std::size_t layer, bool backward) {
    return prefixes.rnn + "weight_hh" + layer_suffix(layer, backward);
  };
  std::size_t layers = 1;
  while (file.tensors().contains(states_of(layers, false))) ++layers;
  if (network.layers.empty()) network.layers.assign(std::min(layers, kMaxLayers + 1), {.cell = ""});
  for (std::size_t i = 0; i < network.layers.size(); ++i) {
    Layer& layer = network.layers[i];
    const std::string states = states_of(i, false);
    const Shape& shape = matrix_shape(file, states);
    layer.hidden = shape[1];
    layer.bidirectional = file.tensors().contains(states_of(i, true));
    if (layer.cell.empty()) layer.cell = cell_of(states, shape);
  }
  network.features = matrix_shape(file, prefixes.rnn + "weight_ih_l0")[1];
  network.outputs = matrix_shape(file, prefixes.head + "weight")[0];
}

// Modules that were made with bias=False have none at all.
bool is_without_bias(const safetensors::Reader& file, const FileTensor& f) {
  if (f.tensor.role != TensorRole::bias) return false;
  const std::size_t at = f.name.rfind("bias");
  return std::ranges::none_of(file.tensors(), [&](const auto& entry) {
    return entry.first.starts_with(f.name.substr(0, at) + "bias");
  });
}

// Every tensor of the network is in the file with its shape, and no other. So a file cannot ask for
// more memory than it is long.
void require_tensors(const safetensors::Reader& file, const std::vector<FileTensor>& needed,
                     const std::vector<std::string>& others, const Network& network) {
  for (const FileTensor& f : needed) {
    if (is_without_bias(file, f)) continue;
    const Shape& found = shape_of(file, f.name);
    file.require_float32(f.name);
    if (found == f.shape) continue;
    throw std::runtime_error("tensor " + quote(f.name) + " has shape " + shape_text(found) +
                             ", expected " + shape_text(f.shape) + " as with cell " +
                             listed(cells_of(network)));
  }
  for (const auto& [name, info] : file.tensors()) {
    if (std::ranges::find(needed, name, &FileTensor::name) != needed.end()) continue;
    if (std::ranges::find(others, name) != others.end()) continue;
    throw std::runtime_error("tensor " + quote(name) + " has no place in a model of " +
                             std::to_string(network.layers.size()) +
                             " recurrent layers and one linear head");
  }
}

// The sizes of the network are those in the file.
Parameters read_parameters(safetensors::Reader& file, const std::vector<std::string>& others,
                           Network network) {
  const Prefixes prefixes = find_prefixes(file);
  find_sizes(file, prefixes, network);
  try {
    network.require_valid();
  } catch (const std::invalid_argument& error) {
    throw std::runtime_error(error.what());
  }
  const std::vector<FileTensor> tensors = file_tensors(network, prefixes);
  require_tensors(file, tensors, others, network);
  Parameters p(network);
  for (const FileTensor& f : tensors) {
    if (is_without_bias(file, f)) continue;
    decode_tensor(f, file.read_float32(f.name), p[f.tensor.name]);
  }
  return p;
}

}  // namespace

namespace {

// The channels of the data and those that are made of their gaps are the features.
void require_sound_channels(const ModelParts& model) {
  const auto& [kind, mean, masked] = model.missing;
  const std::size_t features = model.parameters.network().features;
  const std::size_t channels = features - std::min(masked.size(), features);
  const bool is_sound =
      mean.size() == (kind == MissingKind::fail ? 0 : channels) &&
      (masked.empty() || kind == MissingKind::mask) &&
      std::ranges::adjacent_find(masked, std::greater_equal<>()) == masked.end() &&
      (masked.empty() || masked.back() < channels);
  if (!is_sound) throw std::runtime_error("its rule for missing values does not fit its channels");
  require_finite(mean, "a mean for its missing values");
  if (!model.channel_names.empty() && model.channel_names.size() != channels) {
    throw std::runtime_error("it has " + std::to_string(model.channel_names.size()) +
                             " names for " + std::to_string(channels) + " channels");
  }
  const std::optional<std::string> twice = repeated(model.channel_names);
  if (twice) throw std::runtime_error("it has two channels " + quote(*twice));
}

}  // namespace

void require_whole(const ModelParts& model) {
  if (model.parameters.empty()) throw std::runtime_error("it is empty");
  const Network& network = model.parameters.network();
  if (model.class_names.size() != network.outputs) {
    throw std::runtime_error("it has " + std::to_string(model.class_names.size()) +
                             " class names for " + std::to_string(network.outputs) + " classes");
  }
  const std::optional<std::string> twice = repeated(model.class_names);
  if (twice) throw std::runtime_error("it has two classes " + quote(*twice));
  const auto& [kind, mean, scale] = model.normalization;
  const std::size_t expected = kind == NormalizationKind::channel ? network.features : 0;
  if (mean.size() != expected || scale.size() != expected) {
    throw std::runtime_error("its normalization does not have one mean and one scale for each of " +
                             std::to_string(expected) + " channels");
  }
  require_finite(mean, "the mean of its normalization");
  require_finite(scale, "the scale of its normalization");
  require_sound_channels(model);
  const std::size_t scaled = model.targets.mean.size();
  if (model.targets.scale.size() != scaled ||
      (scaled != 0 && (scaled != network.outputs || !has_numbers(network)))) {
    throw std::runtime_error("it does not have one mean and one scale for each number");
  }
  if (!std::ranges::all_of(model.targets.scale, [](float value) { return value > 0; })) {
    throw std::runtime_error("a scale of its numbers is not above 0");
  }
  if (!(model.delta > 0) || std::isinf(model.delta)) {
    throw std::runtime_error("its delta is not a number above 0");
  }
  require_finite(model.targets.mean, "the mean of its targets");
  require_finite(model.targets.scale, "the scale of its targets");
}

ModelParts read_model(safetensors::Reader& file, const std::vector<std::string>& other_tensors) {
  const auto text = file.metadata().find(kMetadataKey);
  const bool is_ours = text != file.metadata().end();
  ModelParts model;
  // With the head of a file that does not say, and the cell of one of version 1; the layers of
  // others are found.
  Network network;
  if (is_ours) network.layers = {{.cell = "tanh"}};
  if (is_ours) decode_metadata(text->second, network, model);
  model.parameters = read_parameters(file, other_tensors, std::move(network));
  for (std::size_t c = 0; !is_ours && c < model.parameters.network().outputs; ++c) {
    model.class_names.push_back(std::to_string(c));
  }
  require_whole(model);
  return model;
}

namespace {

ModelParts read_finished_model(safetensors::Reader file) {
  if (file.tensors().contains("checkpoint.state")) {
    throw std::runtime_error("it is a checkpoint: `lockstep train --resume` continues it");
  }
  return read_model(file);
}

}  // namespace

ModelParts load_model(const std::filesystem::path& path) {
  return read_finished_model(safetensors::Reader(path));
}

ModelParts decode_model(std::string_view bytes) {
  return read_finished_model(safetensors::Reader(bytes));
}

std::vector<safetensors::Tensor> encode_model(const ModelParts& model) {
  return encode_tensors(model.parameters);
}

safetensors::Metadata metadata_of(const ModelParts& model) {
  return {{kMetadataKey, encode_metadata(model)}};
}

std::string model_bytes(const ModelParts& model) {
  const safetensors::Metadata metadata = metadata_of(model);  // first: it refuses what is not whole
  return safetensors::encode(encode_model(model), metadata);
}

void save_model(const ModelParts& model, const std::filesystem::path& path) {
  write_file_atomically(path, model_bytes(model));
}

void require_savable(const ModelParts& model, const std::filesystem::path& path) {
  require_writable_header(model);
  require_replaceable(path);
}

void require_writable_header(const ModelParts& model,
                             const std::vector<std::string>& other_tensors) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
  std::map<std::string, safetensors::TensorInfo> tensors;
  std::uint64_t end = 0;
  for (const FileTensor& f : file_tensors(model.parameters.network(), {})) {
    const std::uint64_t begin = end;
    end += checked_product(sizeof(float), f.shape).value_or(kMost);
    tensors[f.name] = {"F32", f.shape, begin, end};
  }
  for (const std::string& name : other_tensors) tensors[name] = {"F32", {kMost}, kMost, kMost};
  static_cast<void>(safetensors::encode_header(tensors, metadata_of(model)));
}

}  // namespace lockstep
