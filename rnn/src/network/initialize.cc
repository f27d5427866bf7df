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

// Of one gate: what a tensor of weights leads to.
std::size_t units_of(const Tensor& tensor, const LayerSize& layer) {
  return tensor.role == TensorRole::output_weights ? tensor.cols : layer.hidden;
}

// Zeros but for the gate that begins open.
void fill_bias(std::span<float> bias, const LayerSize& layer) {
  std::ranges::fill(bias, 0.0f);
  if (layer.cell->open_gate == Cell::kNoGate) return;
  std::ranges::fill(bias.subspan(layer.cell->open_gate * layer.hidden, layer.hidden), 1.0f);
}

}  // namespace

void initialize(Parameters& parameters, Initializer initializer, double sigma, std::uint64_t seed) {
  require_parameters(parameters, "initialize");
  const LayerSize layer(parameters.network());
  for (const Tensor& tensor : parameters.tensors()) {
    const std::span<float> values = parameters[tensor.name];
    KeyedRandom random(seed, tensor.name);
    if (tensor.role == TensorRole::bias) {
      std::ranges::fill(values, 0.0f);
    } else if (initializer == Initializer::gaussian) {
      fill_gaussian(values, sigma, random);
    } else if (initializer == Initializer::orthogonal &&
               tensor.role == TensorRole::hidden_weights) {
      fill_orthogonal(values, tensor, random);
    } else {
      fill_xavier(values, tensor.rows, units_of(tensor, layer), random);
    }
  }
  fill_bias(parameters.values().first(layer.sums()), layer);
}

}  // namespace lockstep
