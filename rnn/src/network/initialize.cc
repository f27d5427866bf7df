// The first weights of a network.
#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "definition.h"
#include "lockstep/rnn/parameters.h"
#include "lockstep/rnn/random.h"
#include "network/layer_size.h"
#include "network/tensors.h"

namespace lockstep {
namespace {

struct FirstWeights {
  Initializer initializer;
  double sigma;
};

void fill_gaussian(std::span<float> weights, double sigma, KeyedRandom& random) {
  std::ranges::generate(weights, [&] { return static_cast<float>(sigma * random.normal()); });
}

void fill_xavier(std::span<float> weights, std::size_t fan_in, std::size_t fan_out,
                 KeyedRandom& random) {
  const double limit = std::sqrt(6.0 / static_cast<double>(fan_in + fan_out));
  std::ranges::generate(weights, [&] { return static_cast<float>(random.uniform(-limit, limit)); });
}

// Subtracts from `v` its projection on each row of `basis`, one after another (modified
// Gram-Schmidt).
void remove_projections(std::span<double> v, std::span<const double> basis) {
  for (std::size_t start = 0; start < basis.size(); start += v.size()) {
    const std::span<const double> row = basis.subspan(start, v.size());
    const double length = dot<kOrthogonalSums>(row.data(), v.data(), v.size());
    for (std::size_t i = 0; i < v.size(); ++i) {
      v[i] -= length * row[i];
    }
  }
}

// Orthonormal rows from Gaussian ones: uniformly distributed over all orthogonal matrices (Mezzadri
// 2007), as Gram-Schmidt keeps the diagonal of R positive. One pass suffices: it errs by about
// 2^-53 times the condition number, of the order of `size` for such a matrix, and float32 rounds at
// 2^-24.
std::vector<double> orthogonal_matrix(std::size_t size, KeyedRandom& random) {
  std::vector<double> rows(size * size);
  std::ranges::generate(rows, [&] { return random.normal(); });
  for (std::size_t start = 0; start < rows.size(); start += size) {
    const std::span<double> row(rows.data() + start, size);
    remove_projections(row, {rows.data(), start});
    const double norm = std::sqrt(sum_of_squares<kOrthogonalSums>(row.data(), size));
    std::ranges::transform(row, row.begin(), [norm](double value) { return value / norm; });
  }
  return rows;
}

// One such matrix for each gate, side by side, drawn in the order of the gates.
void fill_orthogonal(std::span<float> weights, const Tensor& tensor, KeyedRandom& random) {
  const std::size_t size = tensor.rows;
  for (std::size_t column = 0; column < tensor.cols; column += size) {
    const std::vector<double> matrix = orthogonal_matrix(size, random);
    for (std::size_t i = 0; i < size; ++i) {
      std::ranges::transform(
          std::span(matrix).subspan(i * size, size),
          weights.begin() + static_cast<std::ptrdiff_t>(i * tensor.cols + column),
          [](double value) { return static_cast<float>(value); });
    }
  }
}

// What PyTorch gives to the tensors of a recurrent layer of so many units, and to those of a linear
// layer of so many inputs.
void fill_like_pytorch(std::span<float> values, std::size_t fan, KeyedRandom& random) {
  const double limit = 1 / std::sqrt(static_cast<double>(fan));
  std::ranges::generate(values, [&] { return static_cast<float>(random.uniform(-limit, limit)); });
}

// The second bias of PyTorch, where it is part of the first.
void add_second_bias(std::span<float> bias, const LayerSize& layer, KeyedRandom& random) {
  const std::size_t first = layer.state_columns().begin;
  const std::size_t count = layer.input_columns().end - first;
  std::vector<float> second(count);
  fill_like_pytorch(second, layer.hidden, random);
  for (std::size_t j = 0; j < count; ++j) bias[first + j] += second[j];
}

// Zeros but for the gate that begins open.
void fill_bias(std::span<float> bias, const LayerSize& layer) {
  std::ranges::fill(bias, 0.0f);
  if (layer.cell->open_gate == Cell::kNoGate) return;
  std::ranges::fill(bias.subspan(layer.cell->open_gate * layer.hidden, layer.hidden), 1.0f);
}

void fill_weights(std::span<float> weights, const Tensor& tensor, std::size_t fan_out,
                  const FirstWeights& how, KeyedRandom& random) {
  if (how.initializer == Initializer::gaussian) {
    fill_gaussian(weights, how.sigma, random);
  } else if (how.initializer == Initializer::orthogonal &&
             tensor.role == TensorRole::hidden_weights) {
    fill_orthogonal(weights, tensor, random);
  } else {
    fill_xavier(weights, tensor.rows, fan_out, random);
  }
}

// b, Wx or Wh of a direction of a layer.
void fill_of_layer(std::span<float> values, const Tensor& tensor, const LayerSize& layer,
                   const FirstWeights& how, KeyedRandom& random) {
  const bool is_bias = tensor.role == TensorRole::bias;
  if (how.initializer == Initializer::pytorch) {
    fill_like_pytorch(values, layer.hidden, random);
    if (is_bias) add_second_bias(values, layer, random);
  } else if (is_bias) {
    fill_bias(values, layer);
  } else {
    fill_weights(values, tensor, layer.hidden, how, random);
  }
}

void fill_of_head(std::span<float> values, const Tensor& tensor, std::size_t inputs,
                  const FirstWeights& how, KeyedRandom& random) {
  if (how.initializer == Initializer::pytorch) {
    fill_like_pytorch(values, inputs, random);
  } else if (tensor.role == TensorRole::bias) {
    std::ranges::fill(values, 0.0f);
  } else {
    fill_weights(values, tensor, tensor.cols, how, random);
  }
}

}  // namespace

void initialize(Parameters& parameters, Initializer initializer, double sigma, std::uint64_t seed) {
  require_parameters(parameters, "initialize");
  const FirstWeights how{initializer, sigma};
  const Network& network = parameters.network();
  const std::vector<LayerSize> layers = layer_sizes(network);
  for (std::size_t i = 0; i < parameters.tensors().size(); ++i) {
    const Tensor& tensor = parameters.tensors()[i];
    const std::span<float> values = parameters[tensor.name];
    KeyedRandom random(seed, tensor.name);
    const std::size_t layer = i / kTensorsOfLayer;
    if (layer < layers.size()) {
      fill_of_layer(values, tensor, layers[layer], how, random);
    } else {
      fill_of_head(values, tensor, network.layers.back().outputs(), how, random);
    }
  }
}

}  // namespace lockstep
