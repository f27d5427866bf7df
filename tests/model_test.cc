#include "lockstep/rnn/model.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <stdexcept>

#include "catch.h"
#include "lockstep/rnn/random.h"
#include "networks.h"

namespace lockstep {
namespace {

Parameters initialized(const Sizes& shape, Initializer initializer, std::uint64_t seed,
                       double sigma = 0.1) {
  Parameters parameters(shape);
  std::ranges::fill(parameters.values(), 7.0f);
  initialize(parameters, initializer, sigma, seed);
  return parameters;
}

struct Weights {
  std::span<const float> input, hidden, output;
};

Weights weights_of(const Parameters& p) {
  return {p["rnn.weight_ih_l0"], p["rnn.weight_hh_l0"], p["head.weight"]};
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

TEST_CASE("parameters start at zero and their tensors follow one another") {
  const Parameters p(Sizes{.features = 3, .hidden = 4, .classes = 5});
  CHECK(std::ranges::count(p.values(), 0.0f) == (1 + 3 + 4) * 4 + (1 + 4) * 5);
  std::vector<std::string> names;
  std::size_t offset = 0;
  for (const Tensor& tensor : p.tensors()) {
    names.push_back(tensor.name);
    CHECK(tensor.offset == offset);
    CHECK(p[tensor.name].data() == p.values().data() + offset);
    CHECK(p[tensor.name].size() == tensor.size());
    offset += tensor.size();
  }
  CHECK(offset == p.values().size());
  CHECK(names == std::vector<std::string>{"rnn.bias_ih_l0", "rnn.weight_ih_l0", "rnn.weight_hh_l0",
                                          "head.bias", "head.weight"});
  CHECK_THROWS_WITH(p["rnn.weight_ih_l1"], ContainsSubstring("no tensor 'rnn.weight_ih_l1'"));
}

TEST_CASE("networks that cannot be are refused") {
  const auto refuses = [](const Network& network, const char* words) {
    CHECK_THROWS_WITH(Parameters(network), ContainsSubstring(words));
  };
  refuses(Sizes{0, 1, 1}, "not 0");
  refuses(Sizes{1, 0, 1}, "not 0");
  refuses(Sizes{1, 1, 0}, "not 0");
  refuses(Sizes{1, kMaxUnits + 1, 1}, "16777216");
  refuses(Sizes{1, 1, 1, "sine"}, "unknown cell 'sine', expected one of tanh, relu");
  Network network = Sizes{1, 1, 1};
  network.head = "tail";
  refuses(network, "unknown head 'tail', expected one of classify");
  network = Sizes{1, 1, 1};
  network.layers.clear();
  refuses(network, "1 to 64 recurrent layers, not 0");
  network.layers.assign(65, {.hidden = 1});
  refuses(network, "1 to 64 recurrent layers, not 65");
  network.layers.assign(2, {.hidden = 1});
  network.layers[1].hidden = 0;
  refuses(network, "not 0");
}

TEST_CASE("no weights are drawn for parameters that are empty or were moved from") {
  const auto draw = [&](Parameters& p) { initialize(p, Initializer::xavier, 0, 1); };
  Parameters empty;
  CHECK_THROWS_WITH(draw(empty), ContainsSubstring("initialize"));
  Parameters gone(Sizes{.features = 1, .hidden = 2, .classes = 3});
  const Parameters taken = std::move(gone);
  CHECK_THROWS_WITH(draw(gone),
                    ContainsSubstring("initialize"));  // NOLINT(bugprone-use-after-move)
}

TEST_CASE("every initializer clears the biases and sets every weight") {
  const auto initializer =
      GENERATE(Initializer::gaussian, Initializer::xavier, Initializer::orthogonal);
  const Parameters p = initialized({.features = 3, .hidden = 5, .classes = 2}, initializer, 1);
  CHECK(largest(p["rnn.bias_ih_l0"]) == 0);
  CHECK(largest(p["head.bias"]) == 0);
  const auto [wx, wh, wy] = weights_of(p);
  for (const auto weights : {wx, wh, wy}) {
    CHECK(std::ranges::count(weights, 7.0f) == 0);
    CHECK(std::ranges::count(weights, 0.0f) == 0);
  }
}

TEST_CASE("gaussian weights have mean 0, deviation sigma and the kurtosis of a normal") {
  const Parameters p =
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
  const Parameters p =
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
  const Parameters p =
      initialized({.features = 2, .hidden = hidden, .classes = 3}, Initializer::orthogonal, 11);
  const auto wh = weights_of(p).hidden;
  // A row has norm 1, each element rounded by at most 2^-24 of itself, in both factors.
  CHECK(orthogonality_error(wh, hidden) < std::ldexp(1.0, -22));
}

TEST_CASE("every gate has first weights of its own, and an LSTM's forget gate begins open") {
  constexpr std::size_t kHidden = 21;
  const std::string cell = GENERATE("gru", "lstm");
  const Parameters p =
      initialized({.features = 2, .hidden = kHidden, .classes = 3, .cell = cell.c_str()},
                  Initializer::orthogonal, 11);
  const std::span<const float> wh = p["rnn.weight_hh_l0"];
  const std::size_t columns = wh.size() / kHidden;
  std::vector<std::vector<float>> gates;
  for (std::size_t first = 0; first < columns; first += kHidden) {
    std::vector<float>& gate = gates.emplace_back();
    for (std::size_t i = 0; i < kHidden; ++i) {
      const auto row = wh.subspan(i * columns + first, kHidden);
      gate.insert(gate.end(), row.begin(), row.end());
    }
    CHECK(orthogonality_error(gate, kHidden) < std::ldexp(1.0, -22));
    CHECK(std::ranges::count(gates, gate) == 1);
  }
  CHECK(gates.size() == (cell == "gru" ? 3 : 4));
  const std::span<const float> bias = p["rnn.bias_ih_l0"];
  for (std::size_t j = 0; j < bias.size(); ++j) {
    CHECK(bias[j] == (cell == "lstm" && j / kHidden == 1 ? 1.0f : 0.0f));
  }
}

TEST_CASE(
    "PyTorch's first weights are uniform on its limits, and sums of two where biases are one") {
  constexpr std::size_t kHidden = 100;
  const double limit = 0.1;
  for (const char* cell : {"tanh", "gru", "lstm"}) {
    const Parameters p = initialized({50, kHidden, 60, cell, 2, true}, Initializer::pytorch, 11);
    for (const Tensor& tensor : p.tensors()) {
      const std::span<const float> values = p[tensor.name];
      CAPTURE(cell, tensor.name);
      const bool is_head = tensor.name.starts_with("head.");
      const bool has_sums = tensor.role == TensorRole::bias && !is_head;
      const double largest_of = is_head ? 1 / std::sqrt(2.0 * kHidden) : limit * (has_sums ? 2 : 1);
      CHECK(largest(values) <= static_cast<float>(largest_of));
      CHECK(largest(values) > static_cast<float>(0.8 * largest_of));
    }
    if (std::string(cell) != "gru") continue;
    const std::span<const float> bias = p["rnn.bias_ih_l1_reverse"];
    CHECK(largest(bias.first(kHidden)) <= 0.1f);  // n_x
    CHECK(largest(bias.last(kHidden)) <= 0.1f);   // n_h
  }
}

TEST_CASE("orthogonal input and output weights are drawn as xavier's") {
  const Sizes shape{.features = 6, .hidden = 4, .classes = 3};
  const Parameters orthogonal = initialized(shape, Initializer::orthogonal, 5);
  const Parameters xavier = initialized(shape, Initializer::xavier, 5);
  CHECK(std::ranges::equal(weights_of(orthogonal).input, weights_of(xavier).input));
  CHECK(largest(weights_of(orthogonal).output) <= static_cast<float>(std::sqrt(6.0 / 7)));
}

// The same on every machine, compiler and instruction set.
TEST_CASE("a seed fixes every bit of the weights") {
  const Sizes shape{.features = 3, .hidden = 20, .classes = 4};
  const auto hash = [&](Initializer initializer, std::uint64_t seed) {
    return weights_hash(initialized(shape, initializer, seed));
  };
  CHECK(hash(Initializer::gaussian, 1) == 0xdaf8a72b614e561f);
  CHECK(hash(Initializer::xavier, 1) == 0x97ce565b3a36330e);
  CHECK(hash(Initializer::orthogonal, 1) == 0xa05decd35f1e6f20);
  CHECK(hash(Initializer::gaussian, 1) != hash(Initializer::gaussian, 2));
}

TEST_CASE("the hash of the weights is FNV-1a over their bytes") {
  CHECK(weights_hash(Parameters()) == 0xcbf29ce484222325);
  Parameters p(Sizes{1, 1, 1});
  std::ranges::copy(std::vector<float>{1.0f, -2.5f, 3.0f}, p.values().begin());
  CHECK(weights_hash(p) == 0xfd6697a4faa2bbf8);
  std::swap(p.values()[0], p.values()[1]);
  CHECK(weights_hash(p) != 0xfd6697a4faa2bbf8);
}

TEST_CASE("the hash tells 0 from -0") {
  Parameters p(Sizes{.features = 1, .hidden = 1, .classes = 1});
  const std::uint64_t before = weights_hash(p);
  p["head.bias"][0] = -0.0f;
  CHECK(weights_hash(p) != before);
}

}  // namespace
}  // namespace lockstep
