#include "lockstep/rnn/stream.h"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <utility>

#include "allocation_count.h"
#include "backend_scope.h"
#include "catch.h"
#include "floats.h"
#include "forward_pass.h"
#include "lockstep/rnn/gradient_check.h"
#include "lockstep/rnn/trainer.h"
#include "lockstep/softmax.h"
#include "networks.h"

namespace lockstep {
namespace {

Parameters random_model(const Sizes& shape) {
  Parameters parameters = random_network(shape);
  Random random(6);
  for (const char* bias : {"rnn.bias_ih_l0", "head.bias"}) {
    for (float& b : parameters[bias]) b = static_cast<float>(0.1 * random.normal());
  }
  return parameters;
}

// The first `steps` timesteps of every sequence.
Dataset beginning(const Dataset& data, std::size_t steps) {
  Dataset part(data.channels(), data.class_names());
  for (std::size_t i = 0; i < data.size(); ++i) {
    part.add(data.sequence(i).first(steps * data.channels()), data.label(i));
  }
  return part;
}

// Timesteps first .. first+steps-1 of every sequence, [steps][sequences][features].
std::vector<float> chunk(const Dataset& data, std::size_t first, std::size_t steps) {
  std::vector<float> x;
  for (std::size_t t = first; t < first + steps; ++t) {
    for (std::size_t i = 0; i < data.size(); ++i) {
      const auto row = data.sequence(i).subspan(t * data.channels(), data.channels());
      x.insert(x.end(), row.begin(), row.end());
    }
  }
  return x;
}

struct Case {
  Sizes shape;
  std::size_t sequences;
};

// One feature, one class, one unit; several panels; enough rows and work for several threads;
// weights that are cut into blocks of k.
const std::vector<Case> kCases{{{1, 1, 1}, 1},
                               {{3, 40, 5}, 1},
                               {{2, 70, 1}, 3},
                               {{1, 50, 6}, 40},
                               {{5, 90, 4}, 33},
                               {{20, 530, 3}, 17},
                               {{5, 90, 4, "relu"}, 33},
                               {{3, 21, 5, "gru"}, 1},
                               {{5, 90, 4, "gru"}, 33},
                               {{3, 21, 5, "lstm"}, 1},
                               {{5, 90, 4, "lstm"}, 33},
                               {{5, 30, 4, "tanh", 2}, 33},
                               {{3, 21, 5, "gru", 3}, 1},
                               {{3, 21, 5, "lstm", 2}, 5},
                               {{5, 90, 4, "gru", 1, false, Pooling::mean}, 33},
                               {{3, 21, 5, "lstm", 2, false, Pooling::max}, 5}};

constexpr std::size_t kSteps = 7;
// Chunks that make up kSteps, an empty one among them.
const std::vector<std::vector<std::size_t>> kCuts{
    {1, 1, 1, 1, 1, 1, 1}, {7}, {2, 5}, {3, 0, 3, 1}, {6, 1}};

TEST_CASE("a stream has the bits of predict_proba, however it is cut, on every backend") {
  for (const Case& c : kCases) {
    const Parameters parameters = random_model(c.shape);
    const Dataset data = equal_data(c.shape, c.sequences, kSteps);
    std::optional<std::vector<float>> fused;
    for (const std::string& name : runnable_backends()) {
      const BackendScope scope(name);
      CAPTURE(name, c.shape.hidden, c.sequences);
      const std::vector<float> expected = predict_proba(parameters, data, 1);
      for (const auto& cut : kCuts) {
        Stream stream(parameters, c.sequences, 1);
        std::size_t done = 0;
        for (const std::size_t steps : cut) {
          stream.feed(chunk(data, done, steps), steps);
          done += steps;
        }
        CHECK(same_bits(stream.probabilities(), expected));
      }
      if (!active_backend().fused) continue;
      if (!fused) fused = expected;
      CHECK(same_bits(expected, *fused));
    }
  }
}

TEST_CASE("a stream has the same bits for any number of threads") {
  for (const Case& c : kCases) {
    const Parameters parameters = random_model(c.shape);
    const Dataset data = equal_data(c.shape, c.sequences, kSteps);
    const std::vector<float> expected = predict_proba(parameters, data, 1);
    for (const int threads : {1, 2, 3, 8}) {
      CAPTURE(c.shape.hidden, c.sequences, threads);
      Stream stream(parameters, c.sequences, threads);
      stream.feed(chunk(data, 0, 4), 4);
      stream.feed(chunk(data, 4, 3), 3);
      CHECK(same_bits(stream.probabilities(), expected));
    }
  }
}

TEST_CASE("after every timestep a stream tells what the sequence so far gives") {
  const Sizes shape{3, 40, 5};
  const Parameters parameters = random_model(shape);
  const Dataset data = equal_data(shape, 3, kSteps);
  const std::vector<float> states = hidden_states(parameters, data, 1);
  Stream stream(parameters, 3);
  for (std::size_t t = 0; t < kSteps; ++t) {
    stream.feed(chunk(data, t, 1));
    const std::vector<float> expected = predict_proba(parameters, beginning(data, t + 1));
    CHECK(same_bits(stream.probabilities(), expected));
    CHECK(same_bits(stream.state(1), std::span(states).subspan(t * 40, 40)));
    CHECK(same_bits(stream.probabilities(2), std::span(expected).subspan(2 * 5, 5)));
    std::vector<float> softmaxed(3 * 5);
    softmax(3, 5, stream.logits().data(), 5, softmaxed.data(), 5);
    CHECK(same_bits(softmaxed, expected));
    const std::span<const float> all = stream.logits();
    const std::vector<float> logits(all.begin(), all.end());
    static_cast<void>(stream.probabilities());
    CHECK(same_bits(stream.logits(2), std::span(logits).last(5)));
  }
}

TEST_CASE("one sequence of several goes on alone, any number of steps ahead") {
  const Pooling pool = GENERATE(Pooling::last, Pooling::mean, Pooling::max);
  const Sizes shape{2, 21, 4, "tanh", 1, false, pool};
  const Parameters parameters = random_model(shape);
  const Dataset data = equal_data(shape, 3, kSteps);
  const std::vector<float> expected = predict_proba(parameters, data);
  for (const std::size_t ahead : {0u, 1u, 2u, 5u, 7u}) {
    CAPTURE(ahead);
    Stream stream(parameters, 3);
    stream.feed_one(1, data.sequence(1).first(ahead * 2), ahead);
    CHECK(stream.state(0)[0] == 0);
    const auto rest = [&](std::size_t i, std::size_t from) {
      stream.feed_one(i, data.sequence(i).subspan(from * 2), kSteps - from);
    };
    rest(0, 0);
    rest(1, ahead);
    rest(2, 0);
    CHECK(same_bits(stream.probabilities(), expected));
  }
  Stream stream(parameters, 3);
  stream.feed(chunk(data, 0, 3), 3);
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t t = 3; t < kSteps; ++t) {
      stream.feed_one(i, data.sequence(i).subspan(t * 2, 2));
    }
  }
  CHECK(same_bits(stream.probabilities(), expected));
}

TEST_CASE("before the first timestep, and after a reset, the state is 0") {
  const Sizes shape{2, 21, 4};
  const Parameters parameters = random_model(shape);
  const Dataset data = equal_data(shape, 2, kSteps);
  Stream stream(parameters, 2);
  const std::vector<float> zero(21);
  const std::span<const float> bias = parameters["head.bias"];
  CHECK(same_bits(stream.state(0), zero));
  CHECK(same_bits(stream.logits(0), bias));
  stream.feed(chunk(data, 0, 3), 3);
  CHECK_FALSE(same_bits(stream.state(1), zero));
  const std::vector<float> kept(stream.state(0).begin(), stream.state(0).end());
  stream.reset(1);
  CHECK(same_bits(stream.state(1), zero));
  CHECK(same_bits(stream.state(0), kept));
  stream.reset();
  CHECK(same_bits(stream.state(0), zero));
  stream.feed(chunk(data, 0, kSteps), kSteps);
  CHECK(same_bits(stream.probabilities(), predict_proba(parameters, data)));
}

TEST_CASE("before the first timestep nothing is pooled") {
  const Pooling pool = GENERATE(Pooling::mean, Pooling::max);
  const Sizes shape{2, 21, 4, "gru", 1, false, pool};
  const Parameters parameters = random_model(shape);
  const Dataset data = equal_data(shape, 1, kSteps);
  Stream stream(parameters);
  CHECK(same_bits(stream.logits(0), parameters["head.bias"]));
  CHECK(stream.state(0).size() == 21 + 21 + 1);
  stream.feed(chunk(data, 0, 3), 3);
  CHECK(stream.state(0).back() == 3);
  stream.reset();
  CHECK(same_bits(stream.logits(0), parameters["head.bias"]));
}

TEST_CASE("a state can be carried from one stream to another") {
  const char* cell = GENERATE("tanh", "gru", "lstm");
  const Pooling pool = GENERATE(Pooling::last, Pooling::mean, Pooling::max);
  CAPTURE(cell, pool);
  const Sizes shape{2, 21, 4, cell, 1, false, pool};
  const Parameters parameters = random_model(shape);
  const Dataset data = equal_data(shape, 1, kSteps);
  Stream first(parameters);
  first.feed(data.sequence(0).first(3 * 2), 3);
  Stream second(parameters, 2);
  second.feed(std::vector<float>(4, 1.0f));
  second.set_state(1, first.state(0));
  second.feed_one(1, data.sequence(0).subspan(3 * 2), kSteps - 3);
  CHECK(same_bits(second.probabilities(1), predict_proba(parameters, data)));
}

TEST_CASE("the state of a stack has every layer's part, h and of an LSTM c, in their order") {
  const Sizes shape{3, 6, 5, "lstm", 2};
  const Parameters parameters = random_model(shape);
  const Dataset data = equal_data(shape, 2, kSteps);
  Stream whole(parameters, 2);
  whole.feed(chunk(data, 0, kSteps), kSteps);
  Stream first(parameters, 2);
  first.feed(chunk(data, 0, 3), 3);
  CHECK(first.state(1).size() == 2 * 2 * 6);
  Stream second(parameters);
  second.set_state(0, first.state(1));
  CHECK(same_bits(second.state(0), first.state(1)));
  second.feed_one(0, data.sequence(1).subspan(3 * 3), kSteps - 3);
  CHECK(same_bits(second.logits(0), whole.logits(1)));
  CHECK_THROWS_AS(second.set_state(0, std::vector<float>(12)), std::invalid_argument);
}

TEST_CASE("a stream keeps the weights that it was made from") {
  const Sizes shape{2, 21, 4};
  const Dataset data = equal_data(shape, 1, kSteps);
  auto parameters = std::make_unique<Parameters>(random_model(shape));
  const std::vector<float> expected = predict_proba(*parameters, data);
  Stream original(*parameters);
  std::ranges::fill(parameters->values(), kNaN);
  parameters.reset();
  Stream stream = std::move(original);
  stream.feed(data.sequence(0), kSteps);
  CHECK(same_bits(stream.probabilities(), expected));
  CHECK(stream.network() == Network(shape));
  CHECK(stream.sequences() == 1);
}

TEST_CASE("timesteps normalized as they come give what the normalized sequence gives") {
  const Sizes shape{3, 21, 4};
  const Parameters parameters = random_model(shape);
  Dataset data = equal_data(shape, 1, kSteps);
  const std::vector<float> raw(data.sequence(0).begin(), data.sequence(0).end());
  const auto normalization = Normalization::fit(NormalizationKind::channel, data);
  normalization.apply(data);
  Stream stream(parameters);
  for (std::size_t t = 0; t < kSteps; ++t) {
    std::array<float, 3> x{};
    std::copy_n(raw.data() + t * 3, 3, x.begin());
    normalization.apply(x);
    stream.feed(x);
  }
  CHECK(same_bits(stream.probabilities(), predict_proba(parameters, data)));
}

TEST_CASE("a stream takes denormal numbers as predict_proba does") {
  const Sizes shape{1, 21, 4};
  Parameters parameters = random_model(shape);
  std::ranges::fill(parameters["rnn.bias_ih_l0"], 0.0f);
  std::ranges::fill(parameters["head.bias"], 1e-40f);
  Dataset data(1, std::vector<std::string>(4, "class"));
  data.add(std::vector<float>(kSteps, 1e-38f), 0);
  Stream stream(parameters);
  for (std::size_t t = 0; t < kSteps; ++t) stream.feed(data.sequence(0).subspan(t, 1));
  CHECK(same_bits(stream.probabilities(), predict_proba(parameters, data)));
  for (const float h : stream.state(0)) CHECK(h == 0);
}

TEST_CASE("a stream allocates nothing after its construction", "[optional]") {
  if (!allocation_count()) LOCKSTEP_SKIP("sanitizers have an operator new of their own");
  for (const Case& c : kCases) {
    const Parameters parameters = random_model(c.shape);
    const Dataset data = equal_data(c.shape, c.sequences, kSteps);
    const std::vector<float> x = chunk(data, 0, kSteps);
    for (const int threads : {1, 2}) {
      CAPTURE(c.shape.hidden, threads);
      Stream stream(parameters, c.sequences, threads);
      const auto before = allocation_count();
      stream.feed(x, kSteps);
      stream.feed_one(0, data.sequence(0), kSteps);
      static_cast<void>(stream.logits());
      static_cast<void>(stream.probabilities());
      static_cast<void>(stream.logits(0));
      static_cast<void>(stream.probabilities(0));
      stream.set_state(0, stream.state(0));
      stream.reset(0);
      stream.reset();
      CHECK(allocation_count() == before);
    }
  }
}

TEST_CASE("a stream refuses what does not fit, and is then as it was") {
  const Sizes shape{2, 21, 4};
  const Parameters parameters = random_model(shape);
  const Dataset data = equal_data(shape, 3, kSteps);
  Stream stream(parameters, 3);
  stream.feed(chunk(data, 0, 4), 4);
  const std::vector<float> four(4 * 2);
  CHECK_THROWS_AS(stream.feed(four), std::invalid_argument);
  CHECK_THROWS_WITH(stream.feed(four), ContainsSubstring("8 values are not 1 timesteps of 3"));
  // Six sequences at once are not two timesteps of three.
  CHECK_THROWS_AS(stream.feed(std::vector<float>(6 * 2)), std::invalid_argument);
  CHECK_THROWS_AS(stream.feed({}), std::invalid_argument);
  CHECK_THROWS_AS(stream.feed(four, 0), std::invalid_argument);
  // As many timesteps as make the product of sizes overflow to that of the values.
  CHECK_THROWS_AS(stream.feed({}, std::size_t{1} << 63), std::invalid_argument);
  CHECK_THROWS_AS(stream.feed_one(3, std::span(four).first(2)), std::invalid_argument);
  CHECK_THROWS_WITH(stream.feed_one(3, std::span(four).first(2)), ContainsSubstring("sequence 3"));
  CHECK_THROWS_AS(stream.feed_one(0, four), std::invalid_argument);
  CHECK_THROWS_AS(stream.set_state(0, four), std::invalid_argument);
  CHECK_THROWS_AS(stream.set_state(3, std::vector<float>(21)), std::invalid_argument);
  CHECK_THROWS_AS(stream.state(3), std::invalid_argument);
  CHECK_THROWS_AS(stream.logits(3), std::invalid_argument);
  CHECK_THROWS_AS(stream.probabilities(3), std::invalid_argument);
  CHECK_THROWS_AS(stream.reset(3), std::invalid_argument);
  stream.feed({}, 0);
  stream.feed_one(2, {}, 0);
  stream.feed(chunk(data, 4, kSteps - 4), kSteps - 4);
  CHECK(same_bits(stream.probabilities(), predict_proba(parameters, data)));
}

TEST_CASE("a stream is not made of nothing") {
  const Parameters parameters = random_model({2, 21, 4});
  CHECK_THROWS_AS(Stream(parameters, 0), std::invalid_argument);
  CHECK_THROWS_AS(Stream(parameters, kMaxUnits + 1), std::invalid_argument);
  CHECK_THROWS_AS(Stream(parameters, 1, -1), std::invalid_argument);
  CHECK_THROWS_AS(Stream(Parameters()), std::invalid_argument);
  CHECK_THROWS_WITH(Stream(random_model({2, 21, 4, "gru", 1, true})),
                    ContainsSubstring("bidirectional"));
  Parameters moved_from = parameters;
  const Parameters taken = std::move(moved_from);
  CHECK(moved_from.empty());
  CHECK_THROWS_AS(Stream(moved_from), std::invalid_argument);
}

}  // namespace
}  // namespace lockstep
