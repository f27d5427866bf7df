#include "files/model_file.h"

#include <algorithm>
#include <functional>
#include <map>
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
#include "network/tensors.h"

namespace lockstep {
namespace {

using safetensors::Shape;

constexpr const char* kMetadataKey = "lockstep";

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
