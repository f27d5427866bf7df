#include "lockstep/rnn/model.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <numeric>
#include <span>
#include <stdexcept>

#include "lockstep/rnn/random.h"
#include "parameter_check.h"

namespace lockstep {
namespace {

void fill_gaussian(std::span<float> weights, double sigma, Random& random) {
  std::ranges::generate(weights, [&] { return static_cast<float>(sigma * random.normal()); });
}

void fill_xavier(std::span<float> weights, std::size_t fan_in, std::size_t fan_out,
                 Random& random) {
  const double limit = std::sqrt(6.0 / static_cast<double>(fan_in + fan_out));
  std::ranges::generate(weights, [&] { return static_cast<float>(random.uniform(-limit, limit)); });
}

// A fixed number of running sums: vector instructions can carry them, and the order of additions,
// hence the result, is the same on every machine.
double dot(std::span<const double> a, std::span<const double> b) {
  constexpr std::size_t kLanes = 8;
  std::array<double, kLanes> sums{};
  std::size_t i = 0;
  for (; i + kLanes <= a.size(); i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      sums[lane] += a[i + lane] * b[i + lane];
    }
  }
  for (std::size_t lane = 0; i < a.size(); ++i, ++lane) {
    sums[lane] += a[i] * b[i];
  }
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

// Subtracts from `v` its projection on each row of `basis`, one after another (modified
// Gram-Schmidt).
void remove_projections(std::span<double> v, std::span<const double> basis) {
  for (std::size_t start = 0; start < basis.size(); start += v.size()) {
    const std::span<const double> row = basis.subspan(start, v.size());
    const double length = dot(row, v);
    for (std::size_t i = 0; i < v.size(); ++i) {
      v[i] -= length * row[i];
    }
  }
}

// Orthonormal rows from Gaussian ones: uniformly distributed over all orthogonal matrices (Mezzadri
// 2007), as Gram-Schmidt keeps the diagonal of R positive. One pass suffices: it errs by about
// 2^-53 times the condition number, of the order of `size` for such a matrix, and float32 rounds at
// 2^-24.
void fill_orthogonal(std::span<float> weights, std::size_t size, Random& random) {
  std::vector<double> rows(size * size);
  std::ranges::generate(rows, [&] { return random.normal(); });
  for (std::size_t start = 0; start < rows.size(); start += size) {
    const std::span<double> row(rows.data() + start, size);
    remove_projections(row, {rows.data(), start});
    const double norm = std::sqrt(dot(row, row));
    std::ranges::transform(row, row.begin(), [norm](double value) { return value / norm; });
  }
  std::ranges::transform(rows, weights.begin(),
                         [](double value) { return static_cast<float>(value); });
}

std::uint64_t hash_on(std::uint64_t hash, std::span<const float> values) {
  constexpr std::uint64_t kPrime = 0x100000001b3;
  for (const float value : values) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    for (int shift = 0; shift < 32; shift += 8) {
      hash = (hash ^ ((bits >> shift) & 0xff)) * kPrime;
    }
  }
  return hash;
}

}  // namespace

void RnnShape::require_valid() const {
  if (features == 0 || hidden == 0 || classes == 0) {
    throw std::invalid_argument(
        "a model needs at least one feature, one hidden unit and one class");
  }
  if (std::max({features, hidden, classes}) > kMaxUnits) {
    throw std::invalid_argument("a model has at most " + std::to_string(kMaxUnits) +
                                " features, hidden units and classes");
  }
}

RnnParameters::RnnParameters(const RnnShape& sizes) : shape(sizes) {
  shape.require_valid();
  recurrent.resize((1 + shape.features + shape.hidden) * shape.hidden);
  output.resize((1 + shape.hidden) * shape.classes);
}

bool RnnParameters::is_whole() const {
  const auto [features, hidden, classes] = shape;
  return features > 0 && hidden > 0 && classes > 0 &&
         recurrent.size() == (1 + features + hidden) * hidden &&
         output.size() == (1 + hidden) * classes;
}

void initialize(RnnParameters& parameters, Initializer initializer, double sigma, Random& random) {
  require_whole(parameters, "initialize");
  const auto [features, hidden, classes] = parameters.shape;
  std::fill_n(parameters.bias(), hidden, 0.0f);
  std::fill_n(parameters.output_bias(), classes, 0.0f);
  const std::span<float> wx(parameters.input_weights(), features * hidden);
  const std::span<float> wh(parameters.hidden_weights(), hidden * hidden);
  const std::span<float> wy(parameters.output_weights(), hidden * classes);

  if (initializer == Initializer::gaussian) {
    for (const std::span<float> weights : {wx, wh, wy}) {
      fill_gaussian(weights, sigma, random);
    }
    return;
  }
  fill_xavier(wx, features, hidden, random);
  if (initializer == Initializer::orthogonal) {
    fill_orthogonal(wh, hidden, random);
  } else {
    fill_xavier(wh, hidden, hidden, random);
  }
  fill_xavier(wy, hidden, classes, random);
}

std::uint64_t weights_hash(const RnnParameters& parameters) {
  constexpr std::uint64_t kOffsetBasis = 0xcbf29ce484222325;
  return hash_on(hash_on(kOffsetBasis, parameters.recurrent), parameters.output);
}

}  // namespace lockstep
