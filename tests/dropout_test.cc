// Which outputs a training drops: how many, and what decides it.
#include "layers/dropout.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "catch.h"
#include "lockstep/rnn/gradient_check.h"
#include "lockstep/rnn/trainer.h"
#include "networks.h"

namespace lockstep {
namespace {

constexpr std::size_t kHidden = 1001;

struct Place {
  std::size_t layer = 0;
  bool backward = false;
  std::size_t sequence = 0;
  std::size_t timestep = 0;
  std::uint64_t update = 0;
};

std::vector<float> factors(const Options& options, const Place& at) {
  static const Network network = Sizes{1, kHidden, 2, "gru", 3, true};
  Dropout dropout(options);
  dropout.begin_update(at.update);
  std::vector<float> values(kHidden, 1.0f);
  dropout.apply(LayerSize(network, at.layer, at.backward), at.sequence, at.timestep, 0, values);
  return values;
}

TEST_CASE("the share of dropped outputs is that of the options, and the mean stays") {
  for (const double rate : {0.1, 0.25, 0.5, 0.9}) {
    std::size_t dropped = 0;
    double sum = 0;
    constexpr std::size_t kSteps = 200;
    for (std::size_t t = 0; t < kSteps; ++t) {
      for (const float factor : factors({.dropout = rate}, {.timestep = t})) {
        CHECK((factor == 0 || std::abs(static_cast<double>(factor) * (1 - rate) - 1) < 1e-3));
        dropped += factor == 0;
        sum += static_cast<double>(factor);
      }
    }
    CAPTURE(rate);
    const double n = kSteps * kHidden;
    const double error = std::sqrt(rate * (1 - rate) / n);
    CHECK(std::abs(static_cast<double>(dropped) / n - rate) < 5 * error + 1e-5);
    CHECK(std::abs(sum / n - 1) < 5 * error / (1 - rate) + 1e-5);
  }
}

TEST_CASE("nothing is dropped at rate 0, and hardly anything is left near 1") {
  CHECK_FALSE(Dropout().drops());
  CHECK_FALSE(Dropout({.dropout = 0}).drops());
  CHECK_FALSE(Dropout({.dropout = 1e-9}).drops());
  CHECK(factors({}, {}) == std::vector<float>(kHidden, 1.0f));
  const std::vector<float> most = factors({.dropout = std::nextafter(1.0, 0.0)}, {});
  CHECK(std::ranges::all_of(most, [](float f) { return f == 0 || f == 65536; }));
}

TEST_CASE("seed, update, layer, direction, sequence and timestep each decide what is dropped") {
  const Options options{.dropout = 0.5};
  const std::vector<float> first = factors(options, {});
  CHECK(factors(options, {}) == first);
  CHECK_FALSE(factors({.dropout = 0.5, .seed = 2}, {}) == first);
  for (const Place& other : {Place{.layer = 1}, Place{.backward = true}, Place{.sequence = 1},
                             Place{.timestep = 1}, Place{.update = 1}}) {
    // About half of the factors are equal by chance.
    const std::vector<float> found = factors(options, other);
    std::size_t equal = 0;
    for (std::size_t j = 0; j < kHidden; ++j) equal += found[j] == first[j];
    CHECK((equal > kHidden / 2 - 80 && equal < kHidden / 2 + 80));
  }
}

TEST_CASE("the units of a timestep can be asked for in parts") {
  const Network network = Sizes{1, kHidden, 2, "gru", 3, true};
  const Dropout dropout(Options{.dropout = 0.5});
  const std::vector<float> whole = factors({.dropout = 0.5}, {});
  for (const std::size_t first : {1u, 4u, 8u, 39u, 1000u}) {
    for (const std::size_t count : {1u, 7u, 8u, 100u}) {
      std::vector<float> part(std::min(count, kHidden - first), 1.0f);
      dropout.apply(LayerSize(network, 0, false), 0, 0, first, part);
      CAPTURE(first, count);
      CHECK(std::ranges::equal(part, std::span(whole).subspan(first, part.size())));
    }
  }
}

TEST_CASE("one mask for a sequence is the same at all of its timesteps") {
  const Options options{.dropout = 0.5, .dropout_kind = DropoutKind::sequence};
  const std::vector<float> first = factors(options, {});
  CHECK(factors(options, {.timestep = 17}) == first);
  CHECK_FALSE(factors(options, {.sequence = 1}) == first);
  CHECK_FALSE(factors(options, {.update = 1}) == first);
}

TEST_CASE("dropout changes a training of several layers only, and no prediction") {
  const auto trained = [](std::size_t layers, double dropout) {
    const Sizes shape{2, 9, 3, "gru", layers};
    Parameters parameters = random_network(shape);
    const Dataset data = equal_data(shape, 12, 6);
    Options options = gradient_descent();
    options.epochs = 2;
    options.batch_size = 5;
    options.dropout = dropout;
    train(parameters, data, options);
    CHECK(predict_proba(parameters, data, 1) == predict_proba(parameters, data, 2));
    return weights_hash(parameters);
  };
  CHECK(trained(1, 0.5) == trained(1, 0));
  CHECK_FALSE(trained(2, 0.5) == trained(2, 0));
  CHECK(trained(2, 0.5) == trained(2, 0.5));
}

}  // namespace
}  // namespace lockstep
