#include "files/model_file.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "binary.h"
#include "files/atomic_file.h"
#include "files/safetensors.h"
#include "files/strict_json.h"
#include "lockstep/gemm.h"
#include "lookup.h"
#include "network/tensors.h"

namespace lockstep {
namespace {

using nlohmann::json;
using safetensors::Shape;

// Fails with the name `what` unless all `values` are finite.
void require_finite(std::span<const float> values, const std::string& what) {
  if (!std::ranges::all_of(values, [](float value) { return std::isfinite(value); })) {
    throw std::runtime_error(what + " holds NaN or infinity");
  }
}

// What a model file holds beside its tensors, as JSON text. The initial values are those of a file
// that does not say.
struct ModelMetadata {
  std::string cell = "tanh";
  std::string head = "classify";
  std::vector<std::string> class_names;
  Normalization normalization;
};

constexpr const char* kMetadataKey = "lockstep";
constexpr const char* kIncomplete =
    "its metadata lacks version, cell, head, class_names or normalization, or one is of a wrong "
    "type";

// Version 1 has no cell, which is tanh.
constexpr int kVersion = 2;

// The first name of a kind is written; the last two are read from files of version 0.1.
constexpr std::array<std::pair<NormalizationKind, const char*>, 5> kNormalizationNames = {{
    {NormalizationKind::none, "none"},
    {NormalizationKind::channel, "channel"},
    {NormalizationKind::series, "series"},
    {NormalizationKind::channel, "per_channel"},
    {NormalizationKind::series, "per_series"},
}};

Normalization parse_normalization(const json& text) {
  const auto* kind = std::ranges::find(kNormalizationNames, text.at("kind").get<std::string>(),
                                       &std::pair<NormalizationKind, const char*>::second);
  if (kind == kNormalizationNames.end())
    throw std::runtime_error("its kind of normalization is unknown");
  Normalization normalization{.kind = kind->first, .mean = {}, .scale = {}};
  if (normalization.kind == NormalizationKind::channel) {
    normalization.mean = text.at("mean").get<std::vector<float>>();
    normalization.scale = text.at("scale").get<std::vector<float>>();
  }
  return normalization;
}

std::string encode_metadata(const ModelParts& model) {
  require_whole(model);
  const auto* kind = std::ranges::find(kNormalizationNames, model.normalization.kind,
                                       &std::pair<NormalizationKind, const char*>::first);
  json normalization = {{"kind", kind->second}};
  if (model.normalization.kind == NormalizationKind::channel) {
    normalization["mean"] = model.normalization.mean;
    normalization["scale"] = model.normalization.scale;
  }
  const json metadata = {{"version", kVersion},
                         {"cell", model.parameters.network().layers[0].cell},
                         {"head", model.parameters.network().head},
                         {"class_names", model.class_names},
                         {"normalization", normalization}};
  try {
    return metadata.dump();
  } catch (const json::exception&) {
    throw std::runtime_error("a class name is not valid UTF-8");
  }
}

// Cell and head are ones that this knows; whether the rest fits the tensors is not checked.
ModelMetadata decode_metadata(const std::string& text) {
  const json metadata = parse_strict_json(text);
  if (!metadata.is_object() || !metadata.contains("version")) throw std::runtime_error(kIncomplete);
  const json& version = metadata["version"];
  if (version != 1 && version != kVersion) {
    throw std::runtime_error("its version is " + quote(version.dump()) + ", expected up to " +
                             std::to_string(kVersion));
  }
  ModelMetadata result;
  const auto read_word = [&](const char* key, const std::vector<std::string>& known,
                             std::string& word) {
    word = metadata.at(key).get<std::string>();
    if (std::ranges::find(known, word) != known.end()) return;
    throw std::runtime_error("its " + std::string(key) + " " + quote(word) + " is unknown");
  };
  try {
    if (version == kVersion) {
      read_word("cell", cell_names(), result.cell);
      read_word("head", head_names(), result.head);
    }
    result.class_names = metadata.at("class_names").get<std::vector<std::string>>();
    result.normalization = parse_normalization(metadata.at("normalization"));
  } catch (const json::exception&) {
    throw std::runtime_error(kIncomplete);
  }
  return result;
}

// What a tensor of a network is called in a file, and the second bias that PyTorch adds to the
// first of a recurrent layer.
struct FileNames {
  std::string rnn = "rnn.";
  std::string head = "head.";

  [[nodiscard]] std::string of(const std::string& tensor) const {
    const bool is_head = tensor.starts_with("head.");
    return (is_head ? head : rnn) + tensor.substr(tensor.find('.') + 1);
  }
  [[nodiscard]] std::string second_bias() const { return rnn + "bias_hh_l0"; }
};

bool has_second_bias(const Tensor& tensor) {
  return tensor.role == TensorRole::bias && tensor.name.starts_with("rnn.");
}

// PyTorch's matrices are [units][inputs].
Shape file_shape(const Tensor& tensor) {
  if (tensor.role == TensorRole::bias) return {tensor.cols};
  return {tensor.cols, tensor.rows};
}

std::vector<safetensors::Tensor> encode_tensors(const Parameters& p) {
  const FileNames names;
  std::vector<safetensors::Tensor> tensors;
  for (const Tensor& t : p.tensors()) {
    const std::span<const float> values = p[t.name];
    tensors.push_back({names.of(t.name), file_shape(t), std::vector<float>(t.size())});
    transpose(t.rows, t.cols, values.data(), t.cols, tensors.back().values.data(), t.rows);
    require_finite(values, "tensor " + quote(tensors.back().name));
    if (!has_second_bias(t)) continue;
    // x + -0 is x for every x, so a model that is read again has the same bits; +0 would change -0.
    tensors.push_back({names.second_bias(), {t.cols}, std::vector<float>(t.cols, -0.0f)});
  }
  return tensors;
}

// The first of `prefixes` with which the file has a tensor called `name`.
std::string find_prefix(const safetensors::Reader& file, std::span<const std::string_view> prefixes,
                        const std::string& name) {
  for (const std::string_view prefix : prefixes) {
    if (file.tensors().contains(std::string(prefix) + name)) return std::string(prefix);
  }
  throw std::runtime_error("it has no tensor " + quote(std::string(prefixes.front()) + name));
}

FileNames find_names(const safetensors::Reader& file) {
  static constexpr std::string_view kRnnPrefixes[] = {"rnn.", ""};
  static constexpr std::string_view kHeadPrefixes[] = {"head.", "fc.", "linear.", ""};
  return {.rnn = find_prefix(file, kRnnPrefixes, "weight_hh_l0"),
          .head = find_prefix(file, kHeadPrefixes, "weight")};
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

Network find_network(const safetensors::Reader& file, const FileNames& names,
                     const ModelMetadata& metadata) {
  const auto sizes = [&](const char* tensor) { return matrix_shape(file, names.of(tensor)); };
  return {.features = sizes("rnn.weight_ih_l0")[1],
          .layers = {{.cell = metadata.cell, .hidden = sizes("rnn.weight_hh_l0")[1]}},
          .head = metadata.head,
          .outputs = sizes("head.weight")[0]};
}

// Every tensor of the network is in the file with its shape, and no other. So a file cannot ask for
// more memory than it is long.
void require_tensors(const safetensors::Reader& file, const FileNames& names,
                     const std::vector<Tensor>& tensors) {
  std::map<std::string, Shape> needed;
  for (const Tensor& t : tensors) {
    needed[names.of(t.name)] = file_shape(t);
    if (has_second_bias(t)) needed[names.second_bias()] = file_shape(t);
  }
  for (const auto& [name, expected] : needed) {
    const Shape& found = shape_of(file, name);
    if (found == expected) continue;
    throw std::runtime_error("tensor " + quote(name) + " has shape " + shape_text(found) +
                             ", expected " + shape_text(expected) + " as in a plain RNN");
  }
  for (const auto& [name, info] : file.tensors()) {
    if (needed.contains(name)) continue;
    throw std::runtime_error("tensor " + quote(name) +
                             " has no place in a model of one recurrent layer, one direction and "
                             "one linear head");
  }
}

std::vector<float> read_tensor(safetensors::Reader& file, const std::string& name) {
  std::vector<float> values = file.read_float32(name);
  require_finite(values, "tensor " + quote(name));
  return values;
}

Parameters read_parameters(safetensors::Reader& file, const ModelMetadata& metadata) {
  const FileNames names = find_names(file);
  const Network network = find_network(file, names, metadata);
  try {
    network.require_valid();
  } catch (const std::invalid_argument& error) {
    throw std::runtime_error(error.what());
  }
  require_tensors(file, names, tensors_of(network));
  Parameters p(network);
  for (const Tensor& t : p.tensors()) {
    const std::vector<float> values = read_tensor(file, names.of(t.name));
    const std::span<float> to = p[t.name];
    transpose(t.cols, t.rows, values.data(), t.rows, to.data(), t.cols);
    if (!has_second_bias(t)) continue;
    const std::vector<float> second = read_tensor(file, names.second_bias());
    std::ranges::transform(to, second, to.begin(), std::plus<>());
    require_finite(to, "the sum of its two biases");
  }
  return p;
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
}

ModelParts load_model(const std::filesystem::path& path) {
  safetensors::Reader file(path);
  const auto text = file.metadata().find(kMetadataKey);
  const bool is_ours = text != file.metadata().end();
  ModelMetadata metadata = is_ours ? decode_metadata(text->second) : ModelMetadata{};
  Parameters parameters = read_parameters(file, metadata);
  for (std::size_t c = 0; !is_ours && c < parameters.network().outputs; ++c) {
    metadata.class_names.push_back(std::to_string(c));
  }
  ModelParts model{std::move(parameters), std::move(metadata.normalization),
                   std::move(metadata.class_names)};
  require_whole(model);
  return model;
}

void save_model(const ModelParts& model, const std::filesystem::path& path) {
  const safetensors::Metadata metadata{{kMetadataKey, encode_metadata(model)}};
  write_file_atomically(path, safetensors::encode(encode_tensors(model.parameters), metadata));
}

void require_savable(const ModelParts& model, const std::filesystem::path& path) {
  static_cast<void>(encode_metadata(model));
  require_replaceable(path);
}

}  // namespace lockstep
