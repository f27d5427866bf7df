#include "lockstep/rnn/model_file.h"

#include <algorithm>
#include <array>
#include <functional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "atomic_file.h"
#include "model_metadata.h"
#include "safetensors.h"
#include "strict_json.h"

namespace lockstep {
namespace {

using safetensors::Shape;

constexpr const char* kMetadataKey = "lockstep";

// The names that torch.nn.RNN and torch.nn.Linear give their tensors inside a module.
struct TensorNames {
  std::string input_weights, hidden_weights, input_bias, hidden_bias, head_weights, head_bias;

  TensorNames(const std::string& rnn, const std::string& head)
      : input_weights(rnn + "weight_ih_l0"),
        hidden_weights(rnn + "weight_hh_l0"),
        input_bias(rnn + "bias_ih_l0"),
        hidden_bias(rnn + "bias_hh_l0"),
        head_weights(head + "weight"),
        head_bias(head + "bias") {}

  [[nodiscard]] std::array<const std::string*, 6> all() const {
    return {&input_weights, &hidden_weights, &input_bias, &hidden_bias, &head_weights, &head_bias};
  }
};

// `from` [rows][columns] becomes `to` [columns][rows].
void transpose(const float* from, std::size_t rows, std::size_t columns, float* to) {
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t column = 0; column < columns; ++column) {
      to[column * rows + row] = from[row * columns + column];
    }
  }
}

std::vector<float> transposed(const float* from, std::size_t rows, std::size_t columns) {
  std::vector<float> to(rows * columns);
  transpose(from, rows, columns, to.data());
  return to;
}

std::vector<safetensors::Tensor> tensors_of(const RnnParameters& p) {
  const auto [features, hidden, classes] = p.shape;
  const TensorNames names("rnn.", "head.");
  // x + -0 is x for every x, so a model that is read again has the same bits; +0 would change -0.
  const std::vector<float> nothing(hidden, -0.0f);
  return {
      {names.input_weights, {hidden, features}, transposed(p.input_weights(), features, hidden)},
      {names.hidden_weights, {hidden, hidden}, transposed(p.hidden_weights(), hidden, hidden)},
      {names.input_bias, {hidden}, {p.bias(), p.bias() + hidden}},
      {names.hidden_bias, {hidden}, nothing},
      {names.head_weights, {classes, hidden}, transposed(p.output_weights(), hidden, classes)},
      {names.head_bias, {classes}, {p.output_bias(), p.output_bias() + classes}},
  };
}

// A file that Lockstep did not write says nothing of classes and inputs.
void assume_metadata(RnnClassifier& model) {
  for (std::size_t label = 0; label < model.parameters.shape.classes; ++label) {
    model.class_names.push_back(std::to_string(label));
  }
}

// The first of `prefixes` with which the file has a tensor called `name`.
std::string find_prefix(const safetensors::Reader& file, std::span<const std::string_view> prefixes,
                        const std::string& name) {
  for (const std::string_view prefix : prefixes) {
    if (file.tensors().contains(std::string(prefix) + name)) return std::string(prefix);
  }
  throw std::runtime_error("it has no tensor " + quote(std::string(prefixes.front()) + name));
}

TensorNames find_names(const safetensors::Reader& file) {
  static constexpr std::string_view kRnnPrefixes[] = {"rnn.", ""};
  static constexpr std::string_view kHeadPrefixes[] = {"head.", "fc.", "linear.", ""};
  const std::string rnn = find_prefix(file, kRnnPrefixes, "weight_hh_l0");
  const std::string head = find_prefix(file, kHeadPrefixes, "weight");
  const TensorNames names(rnn, head);
  const auto needed = names.all();
  for (const std::string* name : needed) {
    if (!file.tensors().contains(*name))
      throw std::runtime_error("it has no tensor " + quote(*name));
  }
  for (const auto& [name, info] : file.tensors()) {
    if (std::ranges::none_of(needed, [&](const std::string* known) { return *known == name; })) {
      throw std::runtime_error(
          "tensor " + quote(name) +
          " has no place in a model of one recurrent layer, one direction and one linear head");
    }
  }
  return names;
}

const Shape& matrix_shape(const safetensors::Reader& file, const std::string& name) {
  const Shape& shape = file.tensors().at(name).shape;
  if (shape.size() != 2 || shape[0] == 0 || shape[1] == 0) {
    throw std::runtime_error("tensor " + quote(name) + " has shape " +
                             safetensors::to_string(shape) + ", expected a matrix");
  }
  return shape;
}

RnnShape find_shape(const safetensors::Reader& file, const TensorNames& names) {
  return {.features = matrix_shape(file, names.input_weights)[1],
          .hidden = matrix_shape(file, names.hidden_weights)[1],
          .classes = matrix_shape(file, names.head_weights)[0]};
}

std::vector<float> read_tensor(safetensors::Reader& file, const std::string& name,
                               const Shape& expected) {
  const Shape& shape = file.tensors().at(name).shape;
  if (shape != expected) {
    throw std::runtime_error("tensor " + quote(name) + " has shape " +
                             safetensors::to_string(shape) + ", expected " +
                             safetensors::to_string(expected) + " as in a plain tanh RNN");
  }
  std::vector<float> values = file.read_float32(name);
  require_finite(values, "tensor " + quote(name));
  return values;
}

RnnParameters read_parameters(safetensors::Reader& file) {
  const TensorNames names = find_names(file);
  const RnnShape shape = find_shape(file, names);
  const auto [features, hidden, classes] = shape;
  const auto wx = read_tensor(file, names.input_weights, {hidden, features});
  const auto wh = read_tensor(file, names.hidden_weights, {hidden, hidden});
  const auto input_bias = read_tensor(file, names.input_bias, {hidden});
  const auto hidden_bias = read_tensor(file, names.hidden_bias, {hidden});
  const auto wy = read_tensor(file, names.head_weights, {classes, hidden});
  const auto by = read_tensor(file, names.head_bias, {classes});

  RnnParameters p(shape);
  std::ranges::transform(input_bias, hidden_bias, p.bias(), std::plus<>());
  transpose(wx.data(), hidden, features, p.input_weights());
  transpose(wh.data(), hidden, hidden, p.hidden_weights());
  std::ranges::copy(by, p.output_bias());
  transpose(wy.data(), classes, hidden, p.output_weights());
  require_finite({p.bias(), hidden}, "the sum of its two biases");
  return p;
}

std::string encode_model(const RnnClassifier& model) {
  if (!model.parameters.is_whole()) {
    throw std::runtime_error("it is empty or its weights do not have the sizes of its shape");
  }
  const std::vector<safetensors::Tensor> tensors = tensors_of(model.parameters);
  for (const safetensors::Tensor& tensor : tensors) {
    require_finite(tensor.values, "tensor " + quote(tensor.name));
  }
  return safetensors::encode(tensors, {{kMetadataKey, encode_metadata(model)}});
}

RnnClassifier read_model(const std::filesystem::path& path) {
  safetensors::Reader file(path);
  RnnClassifier model{.parameters = read_parameters(file), .normalization = {}, .class_names = {}};
  const auto metadata = file.metadata().find(kMetadataKey);
  if (metadata == file.metadata().end()) {
    assume_metadata(model);
  } else {
    decode_metadata(metadata->second, model);
  }
  return model;
}

}  // namespace

void save_model(const RnnClassifier& model, const std::filesystem::path& path) {
  try {
    write_file_atomically(path, encode_model(model));
  } catch (const std::runtime_error& error) {
    throw ModelFileError("cannot save model '" + path.string() + "': " + error.what());
  }
}

RnnClassifier load_model(const std::filesystem::path& path) {
  try {
    return read_model(path);
  } catch (const std::runtime_error& error) {
    throw ModelFileError("cannot load model '" + path.string() + "': " + error.what());
  }
}

}  // namespace lockstep
