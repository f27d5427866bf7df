// The first weights of a network.
#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "definition.h"
#include "lockstep/rnn/parameters.h"
#include "lockstep/rnn/random.h"
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
void fill_orthogonal(std::span<float> weights, std::size_t size, KeyedRandom& random) {
  std::vector<double> rows(size * size);
  std::ranges::generate(rows, [&] { return random.normal(); });
  for (std::size_t start = 0; start < rows.size(); start += size) {
    const std::span<double> row(rows.data() + start, size);
    remove_projections(row, {rows.data(), start});
    const double norm = std::sqrt(sum_of_squares<kOrthogonalSums>(row.data(), size));
    std::ranges::transform(row, row.begin(), [norm](double value) { return value / norm; });
  }
  std::ranges::transform(rows, weights.begin(),
                         [](double value) { return static_cast<float>(value); });
}

}  // namespace

void initialize(Parameters& parameters, Initializer initializer, double sigma, std::uint64_t seed) {
  require_parameters(parameters, "initialize");
  for (const Tensor& tensor : parameters.tensors()) {
    const std::span<float> values = parameters[tensor.name];
    KeyedRandom random(seed, tensor.name);
    if (tensor.role == TensorRole::bias) {
      std::ranges::fill(values, 0.0f);
    } else if (initializer == Initializer::gaussian) {
      fill_gaussian(values, sigma, random);
    } else if (initializer == Initializer::orthogonal &&
               tensor.role == TensorRole::hidden_weights) {
      fill_orthogonal(values, tensor.cols, random);
    } else {
      fill_xavier(values, tensor.rows, tensor.cols, random);
    }
  }
}

}  // namespace lockstep
