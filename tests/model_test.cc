#include "lockstep/rnn/model.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <stdexcept>

#include "catch.h"
#include "lockstep/rnn/random.h"

namespace lockstep {
namespace {

RnnParameters initialized(const RnnShape& shape, Initializer initializer, std::uint64_t seed,
                          double sigma = 0.1) {
  RnnParameters parameters(shape);
  std::ranges::fill(parameters.recurrent, 7.0f);
  std::ranges::fill(parameters.output, 7.0f);
  Random random(seed);
  initialize(parameters, initializer, sigma, random);
  return parameters;
}

struct Weights {
  std::span<const float> input, hidden, output;
};

Weights weights_of(const RnnParameters& p) {
  const auto [features, hidden, classes] = p.shape;
  return {{p.input_weights(), features * hidden},
          {p.hidden_weights(), hidden * hidden},
          {p.output_weights(), hidden * classes}};
}

// The mean of value^power.
double moment(std::span<const float> values, int power) {
  double sum = 0;
  for (const float value : values) sum += std::pow(static_cast<double>(value), power);
  return sum / static_cast<double>(values.size());
}

float largest(std::span<const float> values) {
  float result = 0;
  for (const float value : values) result = std::max(result, std::abs(value));
  return result;
}

// Largest element of |W W' - I|.
double orthogonality_error(std::span<const float> w, std::size_t size) {
  double worst = 0;
  for (std::size_t i = 0; i < size; ++i) {
    for (std::size_t j = 0; j < size; ++j) {
      const double product =
          std::inner_product(w.begin() + static_cast<std::ptrdiff_t>(i * size),
                             w.begin() + static_cast<std::ptrdiff_t>((i + 1) * size),
                             w.begin() + static_cast<std::ptrdiff_t>(j * size), 0.0);
      worst = std::max(worst, std::abs(product - (i == j ? 1.0 : 0.0)));
    }
  }
  return worst;
}

TEST_CASE("parameters start at zero and their parts lie where the layout says") {
  const RnnParameters p({.features = 3, .hidden = 4, .classes = 5});
  CHECK(p.recurrent == std::vector<float>((1 + 3 + 4) * 4));
  CHECK(p.output == std::vector<float>((1 + 4) * 5));
  CHECK(p.input_weights() == p.bias() + 4);
  CHECK(p.hidden_weights() == p.input_weights() + 3 * 4);
  CHECK(p.output_weights() == p.output_bias() + 5);
}

TEST_CASE("a model without features, hidden units or classes is refused") {
  CHECK_THROWS_AS(RnnParameters({.features = 0, .hidden = 1, .classes = 1}), std::invalid_argument);
  CHECK_THROWS_AS(RnnParameters({.features = 1, .hidden = 0, .classes = 1}), std::invalid_argument);
  CHECK_THROWS_AS(RnnParameters({.features = 1, .hidden = 1, .classes = 0}), std::invalid_argument);
}

TEST_CASE("no weights are drawn for parameters that are empty or were moved from") {
  Random random(1);
  const auto draw = [&](RnnParameters& p) { initialize(p, Initializer::xavier, 0, random); };
  RnnParameters empty;
  CHECK_THROWS_WITH(draw(empty), ContainsSubstring("initialize"));
  RnnParameters gone({.features = 1, .hidden = 2, .classes = 3});
  const RnnParameters taken = std::move(gone);
  CHECK_THROWS_WITH(draw(gone),
                    ContainsSubstring("initialize"));  // NOLINT(bugprone-use-after-move)
}

TEST_CASE("every initializer clears the biases and sets every weight") {
  const auto initializer =
      GENERATE(Initializer::gaussian, Initializer::xavier, Initializer::orthogonal);
  const RnnParameters p = initialized({.features = 3, .hidden = 5, .classes = 2}, initializer, 1);
  CHECK(largest({p.bias(), 5}) == 0);
  CHECK(largest({p.output_bias(), 2}) == 0);
  const auto [wx, wh, wy] = weights_of(p);
  for (const auto weights : {wx, wh, wy}) {
    CHECK(std::ranges::count(weights, 7.0f) == 0);
    CHECK(std::ranges::count(weights, 0.0f) == 0);
  }
}

TEST_CASE("gaussian weights have mean 0, deviation sigma and the kurtosis of a normal") {
  const RnnParameters p =
      initialized({.features = 200, .hidden = 200, .classes = 200}, Initializer::gaussian, 3, 0.5);
  const auto [wx, wh, wy] = weights_of(p);
  for (const auto weights : {wx, wh, wy}) {
    // Five standard errors of each estimate over 40000 draws.
    CHECK(std::abs(moment(weights, 1)) < 5 * 0.5 / 200);
    CHECK(moment(weights, 2) == Approx(0.25).epsilon(5 * std::sqrt(2.0) / 200));
    CHECK(moment(weights, 4) == Approx(3 * 0.0625).epsilon(5 * std::sqrt(96.0) / 3 / 200));
  }
}

TEST_CASE("xavier weights are uniform up to the limit of each matrix") {
  const RnnParameters p =
      initialized({.features = 50, .hidden = 100, .classes = 200}, Initializer::xavier, 3);
  const auto check = [](std::span<const float> weights, double fan_in, double fan_out) {
    const double limit = std::sqrt(6 / (fan_in + fan_out));
    CHECK(largest(weights) <= static_cast<float>(limit));
    CHECK(largest(weights) > static_cast<float>(0.99 * limit));
    const auto count = static_cast<double>(weights.size());
    CHECK(std::abs(moment(weights, 1)) < 5 * limit / std::sqrt(3 * count));
    CHECK(moment(weights, 2) == Approx(limit * limit / 3).epsilon(5 * std::sqrt(0.8 / count)));
  };
  const auto [wx, wh, wy] = weights_of(p);
  check(wx, 50, 100);
  check(wh, 100, 100);
  check(wy, 100, 200);
}

TEST_CASE("orthogonal recurrent weights are orthogonal to float32 precision") {
  const std::size_t hidden = GENERATE(as<std::size_t>{}, 1, 2, 7, 8, 50, 129);
  const RnnParameters p =
      initialized({.features = 2, .hidden = hidden, .classes = 3}, Initializer::orthogonal, 11);
  const auto wh = weights_of(p).hidden;
  // A row has norm 1, each element rounded by at most 2^-24 of itself, in both factors.
  CHECK(orthogonality_error(wh, hidden) < std::ldexp(1.0, -22));
}

TEST_CASE("orthogonal input and output weights are drawn as xavier's") {
  const RnnShape shape{.features = 6, .hidden = 4, .classes = 3};
  const RnnParameters orthogonal = initialized(shape, Initializer::orthogonal, 5);
  const RnnParameters xavier = initialized(shape, Initializer::xavier, 5);
  CHECK(std::ranges::equal(weights_of(orthogonal).input, weights_of(xavier).input));
  CHECK(largest(weights_of(orthogonal).output) <= static_cast<float>(std::sqrt(6.0 / 7)));
}

// The same on every machine, compiler and instruction set.
TEST_CASE("a seed fixes every bit of the weights") {
  const RnnShape shape{.features = 3, .hidden = 20, .classes = 4};
  const auto hash = [&](Initializer initializer, std::uint64_t seed) {
    return weights_hash(initialized(shape, initializer, seed));
  };
  CHECK(hash(Initializer::gaussian, 1) == 0x2c8426210940941e);
  CHECK(hash(Initializer::xavier, 1) == 0xd11ef0ea18bdef90);
  CHECK(hash(Initializer::orthogonal, 1) == 0xf8e536794661e6a6);
  CHECK(hash(Initializer::gaussian, 1) != hash(Initializer::gaussian, 2));
}

TEST_CASE("the hash of the weights is FNV-1a over their bytes") {
  CHECK(weights_hash(RnnParameters()) == 0xcbf29ce484222325);
  RnnParameters p;
  p.recurrent = {1.0f, -2.5f};
  p.output = {3.0f};
  CHECK(weights_hash(p) == 0x1cce969efed6cf8);
  std::swap(p.recurrent[0], p.recurrent[1]);
  CHECK(weights_hash(p) != 0x1cce969efed6cf8);
}

TEST_CASE("the hash tells 0 from -0") {
  RnnParameters p({.features = 1, .hidden = 1, .classes = 1});
  const std::uint64_t before = weights_hash(p);
  p.output[0] = -0.0f;
  CHECK(weights_hash(p) != before);
}

}  // namespace
}  // namespace lockstep
