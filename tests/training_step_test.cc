// Gradients of one minibatch of every size and shape, and what they must not depend on.
#include "train/training_step.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "allocation_count.h"
#include "backend_scope.h"
#include "catch.h"
#include "lockstep/rnn/gradient_check.h"
#include "lockstep/rnn/random.h"
#include "networks.h"

namespace lockstep {
namespace {

constexpr std::size_t kClasses = 3;

// Sequences of `shortest` to `longest` timesteps.
Dataset random_data(std::size_t count, std::size_t shortest, std::size_t longest) {
  Dataset data(2, {"a", "b", "c"});
  Random random(5);
  for (std::size_t i = 0; i < count; ++i) {
    std::vector<float> values((shortest + random.index(longest - shortest + 1)) * 2);
    for (float& v : values) v = static_cast<float>(random.normal());
    data.add(values, static_cast<int>(i % kClasses));
  }
  return data;
}

double largest_difference(std::span<const float> found, const std::vector<double>& expected) {
  double worst = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    const double d = std::abs(static_cast<double>(found[i]) - expected[i]);
    worst = std::isnan(d) ? std::numeric_limits<double>::infinity() : std::max(worst, d);
  }
  return worst;
}

// Settings of a training on the last `window` timesteps.
LossSettings truncated(std::size_t window) {
  LossSettings settings;
  settings.options.truncate = window == kWholeSequences ? 0 : window;
  return settings;
}

MinibatchSize size_of(const Dataset& data, std::size_t window = kWholeSequences) {
  std::vector<std::size_t> all = first_indices(data.size());
  return largest_minibatch(data, data.size(), window, all);
}

std::vector<float> gradients_of_first(TrainingStep& step, const Parameters& p, const Dataset& data,
                                      std::size_t count) {
  step.begin(data, first_indices(count));
  step.run(p, data, Team());
  return {step.gradient().begin(), step.gradient().end()};
}

TEST_CASE("gradients are right for every minibatch size") {
  const Parameters p = random_network({2, 5, kClasses, GENERATE("tanh", "gru", "lstm")});
  for (std::size_t count = 1; count <= 130; ++count) {
    CAPTURE(count);
    const std::size_t shortest = count % 2 == 0 ? 1 : 4;
    const Dataset data = random_data(count, shortest, 4);
    const ReferenceGradients expected = reference_gradients(p, data);
    const Parameters found = fast_gradients(p, data);
    const double bound = 1e-5 * static_cast<double>(count);
    CHECK(largest_difference(found.values(), expected.values) < bound);
  }
}

TEST_CASE("truncated gradients are right for every minibatch size") {
  const Parameters p = random_network({2, 5, kClasses, GENERATE("tanh", "gru", "lstm")});
  for (const std::size_t truncation : {1u, 2u, 3u, 7u}) {
    for (std::size_t count = 1; count <= 70; ++count) {
      CAPTURE(truncation, count);
      const Dataset data = random_data(count, count % 2 == 0 ? 1 : 9, 9);
      const ReferenceGradients expected = reference_gradients(p, data, {.truncate = truncation});
      const Parameters found = fast_gradients(p, data, {.truncate = truncation});
      const double bound = 1e-5 * static_cast<double>(count);
      CHECK(largest_difference(found.values(), expected.values) < bound);
      const ReferenceGradients whole = reference_gradients(p, data);
      CHECK(expected.loss == whole.loss);
      const auto head = static_cast<std::ptrdiff_t>(head_offset(p));
      CHECK(std::equal(expected.values.begin() + head, expected.values.end(),
                       whole.values.begin() + head));
      if (data.max_length() > truncation) CHECK(expected.values != whole.values);
    }
  }
}

TEST_CASE("a truncation that reaches the first timestep changes no bit") {
  for (const std::size_t hidden : {std::size_t{7}, std::size_t{400}}) {
    const Parameters p = random_network({2, hidden, kClasses});
    const Dataset data = random_data(33, 1, 40);
    const Parameters whole = fast_gradients(p, data);
    CHECK(fast_gradients(p, data, {.truncate = data.max_length()}) == whole);
    CHECK(fast_gradients(p, data, {.truncate = data.max_length() + 1}) == whole);
    CHECK(fast_gradients(p, data, {.truncate = kWholeSequences}) == whole);
    CHECK_FALSE(fast_gradients(p, data, {.truncate = 3}) == whole);
  }
}

TEST_CASE("memory for truncated gradients does not grow with the length") {
  const Sizes shape{2, 16, kClasses};
  constexpr std::size_t kWindow = 20;
  const auto bytes = [&](std::size_t steps) {
    return WithMemory<TrainingStep>(shape, size_of(random_data(12, steps, steps), kWindow),
                                    truncated(kWindow))
        .bytes();
  };
  CHECK(bytes(100) == bytes(10000));
  CHECK(bytes(100) > bytes(kWindow));  // two rows more for each sequence
}

// Bytes that `work` asks for.
template <class Work>
std::size_t bytes_taken_by(const Work& work) {
  const std::size_t before = *allocated_bytes();
  work();
  return *allocated_bytes() - before;
}

void check_told_bytes(const Sizes& shape, std::size_t count, std::size_t window) {
  CAPTURE(active_backend().name, shape.hidden, count, window);
  Dataset data(shape.features, std::vector<std::string>(shape.classes, "class"));
  for (std::size_t i = 0; i < count; ++i) {
    data.add(std::vector<float>((1 + i * 7 % 30) * shape.features), 0);
  }
  const MinibatchSize size = size_of(data, window);
  std::size_t told = 0;
  const std::size_t by_telling = bytes_taken_by(
      [&] { told = WithMemory<TrainingStep>::bytes_for(shape, size, truncated(window)); });
  std::size_t held = 0;
  const std::size_t taken =
      bytes_taken_by(
          [&] { held = WithMemory<TrainingStep>(shape, size, truncated(window)).bytes(); }) -
      by_telling;
  CHECK(held == told);
  CHECK(told <= taken);
  // Packed matrices themselves, two lists of tensors, what aligned vectors are aligned with:
  // nothing that grows with the data.
  CHECK(taken - told < 5120 * shape.layers * (shape.bidirectional ? 2 : 1));
}

TEST_CASE("the bytes of a step are told beforehand, and exactly", "[optional]") {
  if (!allocated_bytes()) LOCKSTEP_SKIP("sanitizers have an operator new of their own");
  for (const std::string& name : runnable_backends()) {
    const BackendScope scope(name);
    for (const std::size_t window : {std::size_t{1}, std::size_t{5}, kWholeSequences}) {
      for (const std::size_t hidden : {1u, 50u, 400u}) {
        for (const std::size_t count : {1u, 7u, 70u}) {
          check_told_bytes({2, hidden, kClasses}, count, window);
        }
      }
      // Inputs of several timesteps go together.
      check_told_bytes({130, 2100, kClasses}, 2, window);
      for (const Sizes& stack :
           {Sizes{2, 21, kClasses, "tanh", 3}, Sizes{2, 130, kClasses, "lstm", 2},
            Sizes{2, 21, kClasses, "gru", 2, true}}) {
        check_told_bytes(stack, 20, window);
      }
      for (const char* cell : {"gru", "lstm"}) {
        for (const std::size_t hidden : {1u, 50u, 230u}) {
          check_told_bytes({2, hidden, kClasses, cell}, 7, window);
        }
      }
    }
  }
}

TEST_CASE("the bits of a gradient do not depend on the memory that the step was given") {
  const Dataset data = random_data(64, 3, 300);
  for (const std::size_t hidden : {std::size_t{7}, std::size_t{400}}) {
    const Parameters p = random_network({2, hidden, kClasses});
    const Dataset few = data.subset(first_indices(hidden == 7 ? 11 : 3));
    WithMemory<TrainingStep> exact(p.network(), size_of(few));
    WithMemory<TrainingStep> roomy(p.network(), size_of(data));
    CHECK(gradients_of_first(*exact, p, few, few.size()) ==
          gradients_of_first(*roomy, p, few, few.size()));
  }
}

TEST_CASE("a team with more threads than the gradient has rows leaves the bits of one") {
  for (const char* cell : {"tanh", "gru", "lstm"}) {
    const Parameters p = random_network({2, 1, kClasses, cell});
    const Dataset data = random_data(9, 3, 30);
    WithMemory<TrainingStep> step(p.network(), size_of(data));
    const std::vector<float> expected = gradients_of_first(*step, p, data, data.size());
    for (const int threads : {5, 8, 16}) {
      step->begin(data, first_indices(data.size()));
      parallel(threads, [&](const Team& team) noexcept { step->run(p, data, team); });
      CAPTURE(cell, threads);
      CHECK(same_bits(step->gradient(), expected));
    }
  }
}

TEST_CASE("one long sequence does not cost every row its length") {
  Dataset data = random_data(63, 10, 10);
  data.add(std::vector<float>(2 * 20000, 0.1f), 0);
  const Parameters p = random_network({2, 64, kClasses});
  const WithMemory<TrainingStep> step(p.network(), size_of(data));
  CHECK(step.bytes() < std::size_t{32} << 20);
}

TEST_CASE("a gradient check reports NaN") {
  Parameters p = random_network({2, 4, kClasses});
  p["rnn.weight_hh_l0"][3] = std::numeric_limits<float>::quiet_NaN();
  for (const GradientError& error : check_gradients(p, random_data(3, 4, 4))) {
    CHECK_FALSE(error.fast_error < kFastErrorBound);
    CHECK_FALSE(error.analytic_error < kAnalyticErrorBound);
  }
}

TEST_CASE("sizes whose product overflows are refused") {
  CHECK_THROWS_AS(Parameters(Sizes{1, std::size_t{1} << 63, 6}), std::invalid_argument);
  CHECK_THROWS_AS(PackedMatrix(std::size_t{1} << 58, 64), std::invalid_argument);
  CHECK_THROWS_AS(PackedMatrix(1, std::numeric_limits<std::size_t>::max()), std::invalid_argument);
}

}  // namespace
}  // namespace lockstep
