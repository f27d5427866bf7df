#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "allocation_count.h"
#include "backend_scope.h"
#include "catch.h"
#include "floats.h"
#include "lockstep/aligned_vector.h"
#include "lockstep/rnn/gradient_check.h"
#include "lockstep/rnn/trainer.h"
#include "lockstep/threads.h"
#include "networks.h"
#include "optimizers/optimizer.h"

namespace lockstep {
namespace {

// Sequences of unequal length, the longest first, with several of some lengths. (11 divides no
// `longest` here.)
Dataset ragged_data(const Sizes& shape, std::size_t size, std::size_t longest) {
  Dataset data(shape.features, std::vector<std::string>(shape.classes, "class"));
  for (std::size_t i = 0; i < size; ++i) {
    const std::size_t length = longest - i * 11 % longest;
    data.add(normal_floats(length * shape.features, i), static_cast<int>(i % shape.classes));
  }
  return data;
}

Parameters trained(const Sizes& shape, const Dataset& data, const Options& options) {
  Parameters parameters = random_network(shape);
  train(parameters, data, options);
  return parameters;
}

// Everything that could depend on an order is switched on; the last minibatch is partial.
Options all_features() {
  Options options = gradient_descent();
  options.epochs = 3;
  options.batch_size = 34;
  options.momentum = 0.9;
  options.clip_norm = 0.5;
  options.schedule = LearningRateSchedule::cosine;
  return options;
}

struct Run {
  Sizes shape;
  std::size_t size;
  std::size_t longest;
};

// Minibatches of four leaves; a single leaf, since the weights do not fit a cache; odd sizes.
const std::vector<Run> kRuns{{{3, 40, 5}, 75, 12},
                             {{2, 384, 3}, 40, 5},
                             {{5, 13, 7}, 40, 9},
                             {{3, 40, 5, "relu"}, 75, 12},
                             {{2, 384, 3, "relu"}, 40, 5},
                             {{3, 40, 5, "gru"}, 75, 12},
                             {{2, 200, 3, "gru"}, 40, 5},
                             {{3, 37, 5, "lstm"}, 75, 12},
                             {{2, 200, 3, "lstm"}, 40, 5},
                             {{3, 19, 5, "tanh", 3}, 40, 9},
                             {{3, 19, 5, "gru", 2}, 40, 9},
                             {{2, 150, 3, "lstm", 2}, 40, 5},
                             {{3, 40, 5, "tanh", 1, false, Pooling::mean}, 75, 12},
                             {{2, 200, 3, "gru", 1, false, Pooling::max}, 40, 5},
                             {{3, 19, 5, "lstm", 2, false, Pooling::mean}, 40, 9}};

// The same of networks that read both ways, which know no truncation.
const std::vector<Run> kBidirectionalRuns{{{3, 19, 5, "tanh", 2, true}, 40, 9},
                                          {{3, 40, 5, "gru", 1, true}, 75, 12},
                                          {{3, 19, 5, "lstm", 2, true}, 40, 9},
                                          {{2, 150, 3, "gru", 2, true}, 40, 5},
                                          {{3, 40, 5, "gru", 1, true, Pooling::mean}, 75, 12},
                                          {{2, 150, 3, "lstm", 1, true, Pooling::max}, 40, 5}};

std::vector<Run> all_runs() {
  std::vector<Run> runs = kRuns;
  runs.insert(runs.end(), kBidirectionalRuns.begin(), kBidirectionalRuns.end());
  return runs;
}

TEST_CASE("training gives the same weights for any number of threads, on every fused backend") {
  for (const Run& run : all_runs()) {
    const Dataset data = ragged_data(run.shape, run.size, run.longest);
    Options options = all_features();
    options.threads = 1;
    std::uint64_t expected = 0;
    for (const std::string& name : fused_backends()) {
      CAPTURE(name, run.shape.hidden);
      const BackendScope scope(name);
      const std::uint64_t hash = weights_hash(trained(run.shape, data, options));
      if (expected == 0) expected = hash;
      CHECK(hash == expected);
    }
    for (const std::string& name : {runnable_backends().front(), std::string("reference")}) {
      const BackendScope scope(name);
      options.threads = 1;
      const Parameters serial = trained(run.shape, data, options);
      CHECK(weights_hash(serial) != weights_hash(random_network(run.shape)));
      for (const int threads : {2, 3, 8}) {
        CAPTURE(name, run.shape.hidden, threads);
        options.threads = threads;
        CHECK(weights_hash(trained(run.shape, data, options)) == weights_hash(serial));
      }
    }
  }
}

TEST_CASE("truncated training gives the same weights on any number of threads and fused backend") {
  for (const Run& run : kRuns) {
    const Dataset data = ragged_data(run.shape, run.size, run.longest);
    Options options = all_features();
    options.threads = 1;
    const Parameters whole = trained(run.shape, data, options);
    options.truncate = run.longest;
    CHECK(trained(run.shape, data, options) == whole);
    options.truncate = 2;
    const Parameters serial = trained(run.shape, data, options);
    CHECK_FALSE(serial == whole);
    for (const int threads : {2, 8}) {
      CAPTURE(run.shape.hidden, threads);
      options.threads = threads;
      CHECK(trained(run.shape, data, options) == serial);
    }
    if (!active_backend().fused) continue;
    for (const std::string& name : fused_backends()) {
      CAPTURE(run.shape.hidden, name);
      const BackendScope scope(name);
      CHECK(trained(run.shape, data, options) == serial);
    }
  }
}

// Goes around the trainer, which may find that a small minibatch is not worth so many threads.
TEST_CASE("accumulated minibatches have the bits of large ones, in less memory") {
  for (const Run& run : all_runs()) {
    const Dataset data = ragged_data(run.shape, run.size, run.longest);
    Options options = all_features();
    options.batch_size = run.size;
    options.dropout = 0.2;
    options.threads = 1;
    const Parameters whole = trained(run.shape, data, options);
    for (const std::size_t parts : {2u, 3u, 5u, 1000u}) {
      options.batch_size = (run.size + parts - 1) / parts;
      options.accumulate = parts;
      for (const int threads : {1, 3}) {
        CAPTURE(run.shape.hidden, parts, threads);
        options.threads = threads;
        CHECK(trained(run.shape, data, options) == whole);
      }
    }
  }
  const Sizes shape{3, 40, 5};
  Options options = gradient_descent();
  options.batch_size = 256;
  const std::size_t large = training_workspace_bytes(shape, options, 1000, 50);
  options.batch_size = 32;
  options.accumulate = 8;
  const std::size_t parts = training_workspace_bytes(shape, options, 1000, 50);
  CHECK(parts < large / 3);
  Parameters parameters = random_network(shape);
  Trainer trainer(parameters, options);
  trainer.run_epoch(equal_data(shape, 1000, 50));
  CHECK(trainer.workspace_bytes() == parts);
}

TEST_CASE("gradients have the same bits for any number of threads") {
  for (const Run& run : all_runs()) {
    const Parameters parameters = random_network(run.shape);
    const Dataset data = ragged_data(run.shape, run.size, run.longest);
    std::vector<Options> cases{{}, {.dropout = 0.3}};
    if (!run.shape.bidirectional) cases.push_back({.truncate = 3, .dropout = 0.3});
    for (Options& options : cases) {
      options.threads = 1;
      const Parameters serial = fast_gradients(parameters, data, options);
      for (const int threads : {2, 3, 8}) {
        CAPTURE(run.shape.hidden, run.shape.layers, options.truncate, options.dropout, threads);
        options.threads = threads;
        CHECK(fast_gradients(parameters, data, options) == serial);
      }
    }
  }
}

TEST_CASE("predictions have the same bits for any number of threads and on every fused backend") {
  for (const Run& run : all_runs()) {
    const Parameters parameters = random_network(run.shape);
    const Dataset data = ragged_data(run.shape, run.size, run.longest);
    const std::vector<float> expected = predict_proba(parameters, data, 1);
    for (const int threads : {2, 3, 8}) {
      CHECK(same_bits(predict_proba(parameters, data, threads), expected));
    }
    if (!active_backend().fused) continue;
    for (const std::string& name : fused_backends()) {
      CAPTURE(name, run.shape.hidden);
      const BackendScope scope(name);
      CHECK(same_bits(predict_proba(parameters, data), expected));
    }
  }
}

Dataset one_sequence(const Dataset& data, std::size_t i) {
  return data.subset(std::vector<std::size_t>{i});
}

void check_alone(const Parameters& parameters, const Dataset& data,
                 const std::vector<std::size_t>& sequences) {
  for (const std::string& name : runnable_backends()) {
    CAPTURE(name);
    const BackendScope scope(name);
    const std::vector<float> together = predict_proba(parameters, data);
    const std::size_t classes = parameters.network().outputs;
    for (const std::size_t i : sequences) {
      const std::span<const float> row(together.data() + i * classes, classes);
      CHECK(same_bits(predict_proba(parameters, one_sequence(data, i), 1), row));
    }
  }
}

TEST_CASE("the probabilities of a sequence do not depend on its neighbours") {
  for (const char* cell : {"tanh", "gru", "lstm"}) {
    CAPTURE(cell);
    const Sizes shape{3, 21, 4, cell};
    const Dataset data = ragged_data(shape, 75, 17);
    check_alone(random_network(shape), data, first_indices(data.size()));
  }
}

double largest_difference(const std::vector<double>& a, std::span<const float> b) {
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    largest = std::max(largest, std::abs(a[i] - static_cast<double>(b[i])));
  }
  return largest;
}

// Weights that do not fit a cache: threads share columns, products have packed factors.
void check_large_weights(const Sizes& shape) {
  CAPTURE(shape.cell);
  const Parameters parameters = random_network(shape);
  const Dataset data = ragged_data(shape, 70, 17);
  check_alone(parameters, data, {0, 5, 69});
  const Dataset some = data.subset(std::vector<std::size_t>{1, 20, 33, 44, 69});
  const Parameters serial = fast_gradients(parameters, some, {.threads = 1});
  CHECK(fast_gradients(parameters, some, {.threads = 3}) == serial);
  CHECK(fast_gradients(parameters, some, {.truncate = some.max_length(), .threads = 1}) == serial);
  const Parameters truncated = fast_gradients(parameters, some, {.truncate = 3, .threads = 1});
  CHECK(fast_gradients(parameters, some, {.truncate = 3, .threads = 2}) == truncated);
  CHECK(largest_difference(reference_gradients(parameters, some).values, serial.values()) < 1e-5);
  CHECK(largest_difference(reference_gradients(parameters, some, {.truncate = 3}).values,
                           truncated.values()) < 1e-5);
}

TEST_CASE("large weights change no bit either") {
  check_large_weights({130, 320, 3});
  check_large_weights({130, 208, 3, "gru"});
  check_large_weights({130, 208, 3, "lstm"});
}

TEST_CASE("threads share several leaves of large weights, or their columns, without a trace") {
  const Sizes shape{2, 384, 3};
  const Parameters parameters = random_network(shape);
  const Dataset data = ragged_data(shape, 4 * 64 + 3, 4);
  const Parameters serial = fast_gradients(parameters, data, {.threads = 1});
  CHECK(largest_difference(reference_gradients(parameters, data).values, serial.values()) < 1e-4);
  for (const int threads : {2, 3, 4, 5}) {
    CAPTURE(threads);
    CHECK(fast_gradients(parameters, data, {.threads = threads}) == serial);
  }
}

// Weights of more than 16 MiB: see recurrent_layer_test for more than the first steps.
TEST_CASE(
    "inputs that go through large weights together change no bit of predictions and gradients") {
  const Sizes shape = GENERATE(Sizes{130, 2048, 2}, Sizes{130, 1184, 2, "gru"});
  const Parameters parameters = random_network(shape);
  const Dataset data = equal_data(shape, 2, 3);
  const std::vector<float> together = predict_proba(parameters, data, 1);
  CHECK(same_bits(predict_proba(parameters, data, 3), together));
  for (const std::size_t i : {0u, 1u}) {
    const std::span<const float> row(together.data() + i * shape.classes, shape.classes);
    CHECK(same_bits(predict_proba(parameters, one_sequence(data, i), 1), row));
  }
  const Parameters serial = fast_gradients(parameters, data, {.threads = 1});
  CHECK(fast_gradients(parameters, data, {.threads = 3}) == serial);
  CHECK(fast_gradients(parameters, data, {.truncate = 3, .threads = 2}) == serial);
}

TEST_CASE("parameters that were moved from are refused by name") {
  const Sizes shape{2, 3, 4};
  const Dataset data = equal_data(shape, 5, 3);
  Parameters gone = random_network(shape);
  const Parameters taken = std::move(gone);
  const auto refuses = ContainsSubstring("there are no parameters");
  CHECK_THROWS_WITH(predict_proba(gone, data), refuses);
  CHECK_THROWS_WITH(Trainer(gone, {}).run_epoch(data), refuses);
  CHECK_THROWS_WITH(fast_gradients(gone, data, {.truncate = 0, .threads = 1}), refuses);
  CHECK_THROWS_WITH(predict_proba(Parameters(), data), refuses);
}

TEST_CASE("predict takes the first of the largest probabilities") {
  const Dataset data = ragged_data({2, 3, 4}, 5, 3);
  CHECK(predict(Parameters(Sizes{2, 3, 4}), data) == std::vector<int>(5, 0));
  CHECK(predict(Parameters(Sizes{2, 3, 4}), Dataset(2)).empty());
}

void add(std::vector<double>& sum, std::span<const float> part) {
  std::ranges::transform(sum, part, sum.begin(),
                         [](double a, float b) { return a + static_cast<double>(b); });
}

TEST_CASE("the gradient of a ragged set is the sum of those of its sequences") {
  const Sizes shape{3, 21, 4};
  const Parameters parameters = random_network(shape);
  const Dataset data = ragged_data(shape, 37, 13);
  for (const std::string& name : runnable_backends()) {
    CAPTURE(name);
    const BackendScope scope(name);
    std::vector<double> sum(parameters.values().size());
    for (std::size_t i = 0; i < data.size(); ++i) {
      add(sum, fast_gradients(parameters, one_sequence(data, i), {.threads = 1}).values());
    }
    const Parameters together = fast_gradients(parameters, data);
    CHECK(largest_difference(sum, together.values()) < 2e-5);
  }
}

TEST_CASE("gradients of every shape pass the gradient check on every backend") {
  const std::vector<Run> runs{{{1, 1, 2}, 5, 4},
                              {{1, 8, 1}, 3, 5},
                              {{17, 3, 2}, 9, 6},
                              {{3, 13, 5}, 1, 1},
                              {{3, 13, 5}, 1, 9},
                              {{2, 7, 3}, 40, 1},
                              {{5, 31, 7}, 35, 8},
                              {{2, 16, 3}, 2, 140},
                              {{3, 13, 5, "relu"}, 9, 9},
                              {{5, 31, 7, "relu"}, 35, 8},
                              {{1, 1, 2, "gru"}, 5, 4},
                              {{3, 13, 5, "gru"}, 9, 9},
                              {{17, 31, 7, "gru"}, 35, 8},
                              {{2, 16, 3, "gru"}, 2, 140},
                              {{1, 1, 2, "lstm"}, 5, 4},
                              {{3, 13, 5, "lstm"}, 9, 9},
                              {{17, 31, 7, "lstm"}, 35, 8},
                              {{2, 16, 3, "lstm"}, 2, 140}};
  for (const Run& run : runs) {
    const Parameters parameters = random_network(run.shape);
    const Dataset data = ragged_data(run.shape, run.size, run.longest);
    for (const std::string& name : runnable_backends()) {
      const BackendScope scope(name);
      for (const std::size_t truncation : {0u, 3u}) {
        for (const GradientError& error :
             check_gradients(parameters, data, {.truncate = truncation}, 1e-5, 10)) {
          CAPTURE(name, truncation, run.shape.features, run.shape.hidden, run.shape.classes,
                  error.tensor);
          CHECK(error.analytic_error < kAnalyticErrorBound);
          CHECK(error.fast_error < kFastErrorBound);
        }
      }
    }
  }
}

TEST_CASE("gradients of stacks pass the check for every cell, direction and dropout") {
  const std::string cell = GENERATE("tanh", "relu", "gru", "lstm");
  const bool bidirectional = GENERATE(false, true);
  const Pooling pool = GENERATE(Pooling::last, Pooling::mean, Pooling::max);
  for (const std::size_t layers : {1u, 2u, 3u}) {
    const Sizes shape{2, 5, 3, cell.c_str(), layers, bidirectional, pool};
    // Random biases too: without them sums of a relu can be 0, where it has no derivative.
    Parameters parameters(shape);
    initialize(parameters, Initializer::pytorch, 0, /*seed=*/5);
    // Of balanced classes the gradient of the head's bias would all but cancel.
    const Dataset data = ragged_data(shape, 8, 6);
    std::vector<Options> cases{{}};
    if (!bidirectional) cases.push_back({.truncate = 3});
    if (layers > 1) {
      cases.push_back({.dropout = 0.3});
      cases.push_back({.dropout = 0.6, .dropout_kind = DropoutKind::sequence});
    }
    for (const Options& options : cases) {
      for (const std::string& name : runnable_backends()) {
        const BackendScope scope(name);
        for (const GradientError& error : check_gradients(parameters, data, options, 1e-5, 5)) {
          CAPTURE(cell, layers, bidirectional, pool, options.truncate, options.dropout, name,
                  error.tensor);
          CHECK(error.analytic_error < kAnalyticErrorBound);
          CHECK(error.fast_error < kFastErrorBound);
        }
      }
    }
  }
}

// The rows of Z and of the last states are of unequal length from 16 inputs on.
TEST_CASE("gradients of stacks are right for as many inputs as fill vectors") {
  const std::string cell = GENERATE("tanh", "relu", "gru", "lstm");
  const bool bidirectional = GENERATE(false, true);
  const Pooling pool = GENERATE(Pooling::last, Pooling::mean, Pooling::max);
  for (const std::size_t hidden : {8u, 17u, 40u}) {
    const Sizes shape{17, hidden, 3, cell.c_str(), 3, bidirectional, pool};
    Parameters parameters(shape);
    initialize(parameters, Initializer::pytorch, 0, /*seed=*/5);
    const Dataset data = ragged_data(shape, 8, 6);
    for (const Options& options : {Options{}, Options{.dropout = 0.3}}) {
      const std::vector<double> expected = reference_gradients(parameters, data, options).values;
      for (const std::string& name : runnable_backends()) {
        CAPTURE(cell, bidirectional, hidden, options.dropout, name);
        const BackendScope scope(name);
        CHECK(largest_difference(expected, fast_gradients(parameters, data, options).values()) <
              1e-4);
      }
    }
  }
}

TEST_CASE("the first of equal timesteps gets the gradient of a maximum") {
  // A relu network of one unit whose weights of the state are 0: h_t is what x_t is.
  const bool bidirectional = GENERATE(false, true);
  const Sizes shape{1, 1, 2, "relu", 1, bidirectional, Pooling::max};
  Parameters parameters(shape);
  for (const char* suffix : {"", "_reverse"}) {
    const std::string name = std::string("rnn.weight_ih_l0") + suffix;
    if (bidirectional || *suffix == 0) parameters[name][0] = 1;
  }
  parameters["head.weight"][0] = 1;
  if (bidirectional) parameters["head.weight"][2] = 1;
  Dataset data(1, {"a", "b"});
  data.add(std::vector<float>{1, 5, 2, 5, 3}, 0);
  // x of the first 5 gets dh, whose state before is that of the 1 (forward) or of the 2.
  const Parameters gradients = fast_gradients(parameters, data);
  const float dh = gradients["rnn.bias_ih_l0"][0];
  CHECK(dh < 0);
  CHECK(gradients["rnn.weight_ih_l0"][0] == 5 * dh);
  CHECK(gradients["rnn.weight_hh_l0"][0] == dh);
  if (!bidirectional) return;
  CHECK(gradients["rnn.bias_ih_l0_reverse"][0] == dh);
  CHECK(gradients["rnn.weight_hh_l0_reverse"][0] == 2 * dh);
}

TEST_CASE("both directions of a sequence that reads the same backwards are equal") {
  const Sizes shape{1, 7, 3, "gru", 1, true};
  Parameters parameters = random_network(shape);
  for (const char* name : {"rnn.weight_ih_l0", "rnn.weight_hh_l0", "rnn.bias_ih_l0"}) {
    std::ranges::copy(parameters[name], parameters[std::string(name) + "_reverse"].begin());
  }
  Dataset data(1, {"a", "b", "c"});
  data.add(std::vector<float>{1, -2, 3, -2, 1}, 0);
  data.add(std::vector<float>{0.5f, 0.25f, 0.5f}, 1);
  // Then the halves of the head's weights have equal gradients.
  const Parameters gradients = fast_gradients(parameters, data);
  const std::span<const float> head = gradients["head.weight"];
  CHECK(same_bits(head.first(head.size() / 2), head.subspan(head.size() / 2)));
}

TEST_CASE("a prediction is the same where fewer sequences share the memory of long ones") {
  const Sizes shape{2, 33, 3, "gru", 2, true};
  const Parameters parameters = random_network(shape);
  // Beyond what a chunk keeps of eight sequences.
  const Dataset data = equal_data(shape, 8, 20000);
  const std::vector<float> all = predict_proba(parameters, data, 1);
  for (std::size_t i = 0; i < 2; ++i) {
    const std::vector<float> one =
        predict_proba(parameters, data.subset(std::vector<std::size_t>{i}), 1);
    CHECK(same_bits(one, std::span(all).subspan(i * 3, 3)));
  }
}

TEST_CASE("a bidirectional network is not trained on parts of sequences") {
  const Sizes shape{2, 4, 3, "lstm", 1, true};
  Parameters parameters = random_network(shape);
  const Dataset data = ragged_data(shape, 4, 5);
  const Options options{.truncate = 2};
  CHECK_THROWS_WITH(Trainer(parameters, options), ContainsSubstring("truncate"));
  CHECK_THROWS_WITH(fast_gradients(parameters, data, options), ContainsSubstring("truncate"));
  CHECK_THROWS_WITH(reference_gradients(parameters, data, options), ContainsSubstring("truncate"));
  CHECK_THROWS_WITH(training_workspace_bytes(shape, options, 4, 5), ContainsSubstring("truncate"));
}

TEST_CASE("a trainer goes on beyond the epochs of its options") {
  const Run& run = kRuns.front();
  const Dataset data = ragged_data(run.shape, run.size, run.longest);
  Options options = all_features();
  options.schedule = LearningRateSchedule::step;
  options.decay_epochs = 2;
  Parameters twice = random_network(run.shape);
  Trainer trainer(twice, options);
  for (std::size_t epoch = 1; epoch <= 6; ++epoch) CHECK(trainer.run_epoch(data).epoch == epoch);
  options.epochs = 6;
  CHECK(weights_hash(twice) == weights_hash(trained(run.shape, data, options)));
}

TEST_CASE("a trainer takes a later data set with longer sequences and more rows") {
  const Sizes shape{3, 21, 4};
  Parameters parameters = random_network(shape);
  Trainer trainer(parameters, all_features());
  CHECK(trainer.workspace_bytes() == 0);
  trainer.run_epoch(ragged_data(shape, 5, 3));
  const std::size_t bytes = trainer.workspace_bytes();
  CHECK(bytes > 0);
  const EpochResult result = trainer.run_epoch(ragged_data(shape, 40, 30));
  CHECK(std::isfinite(result.loss));
  CHECK(trainer.workspace_bytes() > bytes);
}

std::size_t bytes_after_an_epoch(const Sizes& shape, const Options& options, const Dataset& data) {
  Parameters parameters = random_network(shape);
  Trainer trainer(parameters, options);
  trainer.run_epoch(data);
  return trainer.workspace_bytes();
}

TEST_CASE("the work memory of a training is told beforehand") {
  for (const Run& run : all_runs()) {
    for (const std::size_t truncation : {0u, 3u}) {
      if (run.shape.bidirectional && truncation > 0) continue;
      CAPTURE(run.shape.hidden, truncation);
      Options options = all_features();
      options.truncate = truncation;
      const auto told = [&](std::size_t sequences) {
        return training_workspace_bytes(run.shape, options, sequences, run.longest);
      };
      const auto held = [&](const Dataset& data) {
        return bytes_after_an_epoch(run.shape, options, data);
      };
      CHECK(told(run.size) == held(equal_data(run.shape, run.size, run.longest)));
      CHECK(told(2) == held(equal_data(run.shape, 2, run.longest)));
      CHECK(told(run.size) >= held(ragged_data(run.shape, run.size, run.longest)));
    }
  }
  const auto bytes = [](const Sizes& shape, std::size_t batch_size, std::size_t max_length) {
    Options options = gradient_descent();
    options.batch_size = batch_size;
    return training_workspace_bytes(shape, options, kMaxUnits, max_length);
  };
  CHECK_THROWS_AS(bytes({1, 5, 2}, 0, 5), std::invalid_argument);
  CHECK_THROWS_AS(bytes({0, 5, 2}, 1, 5), std::invalid_argument);
  CHECK_THROWS_AS(bytes({1, 5, 2}, 20, std::size_t{1} << 60), std::invalid_argument);
  CHECK_THROWS_AS(bytes({1, kMaxUnits, 2}, kMaxUnits, kMaxUnits), std::invalid_argument);
}

TEST_CASE("an epoch reports each minibatch, the last of them partial") {
  const Sizes shape{2, 5, 3};
  const Dataset data = ragged_data(shape, 11, 4);
  Options options = gradient_descent();
  options.batch_size = 4;
  Parameters parameters = random_network(shape);
  Trainer trainer(parameters, options);
  std::vector<std::size_t> done;
  const EpochResult result = trainer.run_epoch(data, [&](const BatchProgress& progress) {
    CHECK(progress.epoch == 1);
    CHECK(progress.samples == 11);
    done.push_back(progress.samples_done);
    return true;
  });
  CHECK(done == std::vector<std::size_t>{4, 8, 11});
  CHECK(result.timesteps == data.total_timesteps());
  CHECK(std::isnan(result.validation_loss));
}

TEST_CASE("an epoch stops after the minibatch at which on_batch returns false") {
  const Sizes shape{2, 5, 3};
  const Dataset data = ragged_data(shape, 11, 4);
  Options options = gradient_descent();
  options.batch_size = 4;
  options.shuffle = false;
  Parameters stopped = random_network(shape);
  const EpochResult result =
      Trainer(stopped, options).run_epoch(data, [](const BatchProgress&) { return false; });
  Parameters first_batch = random_network(shape);
  const Dataset head = data.subset(std::vector<std::size_t>{0, 1, 2, 3});
  const EpochResult expected = Trainer(first_batch, options).run_epoch(head);
  CHECK(stopped == first_batch);
  CHECK(result.loss == expected.loss);
  CHECK(result.timesteps == head.total_timesteps());
}

TEST_CASE("without shuffling minibatches follow the order of the data") {
  const Sizes shape{2, 9, 3};
  const Dataset data = ragged_data(shape, 10, 6);
  Options options = gradient_descent();
  options.batch_size = 5;
  options.epochs = 1;
  options.shuffle = false;
  Parameters in_parts = random_network(shape);
  Trainer trainer(in_parts, options);
  trainer.run_epoch(data.subset(std::vector<std::size_t>{0, 1, 2, 3, 4}));
  trainer.run_epoch(data.subset(std::vector<std::size_t>{5, 6, 7, 8, 9}));
  CHECK(trained(shape, data, options) == in_parts);
  options.shuffle = true;
  CHECK_FALSE(trained(shape, data, options) == in_parts);
}

TEST_CASE("the seed decides the order, and nothing else does") {
  const Sizes shape{2, 9, 3};
  const Dataset data = ragged_data(shape, 30, 6);
  Options options = all_features();
  options.batch_size = 7;
  const Parameters first = trained(shape, data, options);
  CHECK(trained(shape, data, options) == first);
  options.seed = 2;
  CHECK_FALSE(trained(shape, data, options) == first);
}

TEST_CASE("one update is that of the formulas: mean gradient, clipping, momentum") {
  const Sizes shape{3, 8, 2};
  const Dataset data = ragged_data(shape, 6, 5);
  const Parameters before = random_network(shape);
  const Parameters gradient = fast_gradients(before, data);
  double squares = 0;
  for (const float g : gradient.values()) {
    squares += static_cast<double>(g) * static_cast<double>(g);
  }
  const double mean_norm = std::sqrt(squares) / 6;
  for (const double clip : {0.0, mean_norm / 2, mean_norm * 2}) {
    Options options = gradient_descent();
    options.momentum = 0.5;  // shows from the second step on
    options.clip_norm = clip;
    options.shuffle = false;
    Parameters after = before;
    Trainer(after, options).run_epoch(data);
    const double factor = clip == mean_norm / 2 ? 0.5 : 1.0;
    for (std::size_t i = 0; i < after.values().size(); ++i) {
      const double step =
          learning_rate_of(options) * factor * static_cast<double>(gradient.values()[i]) / 6;
      CHECK(static_cast<double>(after.values()[i]) ==
            Approx(static_cast<double>(before.values()[i]) - step).margin(1e-7));
    }
  }
}

TEST_CASE("a single class is certain and learns nothing") {
  const Sizes shape{2, 5, 1};
  const Dataset data = ragged_data(shape, 4, 3);
  Parameters parameters = random_network(shape);
  Options options = gradient_descent();
  options.epochs = 1;
  const EpochResult result = train(parameters, data, options)[0];
  CHECK(result.loss == 0);
  CHECK(result.accuracy == 1);
  CHECK(parameters == random_network(shape));
  CHECK(predict_proba(parameters, data) == std::vector<float>(4, 1.0f));
}

TEST_CASE("a trainer names the option that is out of range") {
  const double nan = std::nan("");
  const auto construct = [](auto change) {
    Options options = gradient_descent();
    options.schedule = LearningRateSchedule::step;
    change(options);
    Parameters parameters(Sizes{1, 1, 1});
    Trainer(parameters, options);
  };
  const auto check = [&](const char* name, auto change) {
    CHECK_THROWS_AS(construct(change), std::invalid_argument);
    CHECK_THROWS_WITH(construct(change), ContainsSubstring(name));
  };
  CHECK_NOTHROW(construct([](Options&) {}));
  check("batch_size", [](Options& o) { o.batch_size = 0; });
  check("learning_rate", [](Options& o) { o.learning_rate = 0; });
  check("learning_rate", [=](Options& o) { o.learning_rate = nan; });
  check("momentum", [](Options& o) { o.momentum = 1; });
  check("momentum", [=](Options& o) { o.momentum = nan; });
  check("clip_norm", [](Options& o) { o.clip_norm = -1; });
  check("decay_epochs", [](Options& o) { o.decay_epochs = 0; });
  check("decay", [](Options& o) { o.decay = -1; });
  check("threads", [](Options& o) { o.threads = -1; });
}

TEST_CASE("data that does not fit the model is an error") {
  const Sizes shape{2, 3, 2};
  Parameters parameters = random_network(shape);
  Trainer trainer(parameters, Options{});
  CHECK_THROWS_WITH(trainer.run_epoch(Dataset(2)), ContainsSubstring("no sequence"));
  CHECK_THROWS_WITH(trainer.run_epoch(ragged_data({3, 3, 2}, 2, 2)),
                    ContainsSubstring("3 channels"));
  CHECK_THROWS_WITH(trainer.run_epoch(ragged_data({2, 3, 3}, 4, 2)), ContainsSubstring("label 2"));
  Dataset unlabelled(2);
  unlabelled.add(std::vector<float>{1, 2}, kNoLabel);
  CHECK_THROWS_WITH(trainer.run_epoch(unlabelled), ContainsSubstring("label -1 of sequence 0"));
  CHECK_THROWS_AS(trainer.run_epoch(unlabelled), std::invalid_argument);
  CHECK_THROWS_AS(predict_proba(parameters, Dataset(3)), std::invalid_argument);
  CHECK_THROWS_AS(fast_gradients(parameters, unlabelled), std::invalid_argument);
  CHECK(parameters == random_network(shape));
  CHECK(predict_proba(parameters, unlabelled).size() == 2);
}

TEST_CASE("a training step allocates nothing", "[optional]") {
  if (!allocation_count()) LOCKSTEP_SKIP("sanitizers have an operator new of their own");
  for (const Run& run : all_runs()) {
    const Dataset data = ragged_data(run.shape, run.size, run.longest);
    for (const int threads : {1, 2}) {
      for (const std::size_t truncation : {0u, 3u}) {
        if (run.shape.bidirectional && truncation > 0) continue;
        Options options = all_features();
        options.batch_size = 9;
        options.truncate = truncation;
        options.dropout = 0.2;
        options.threads = threads;
        Parameters parameters = random_network(run.shape);
        Trainer trainer(parameters, options);
        std::vector<std::size_t> counts;
        counts.reserve(100);
        for (int epoch = 0; epoch < 2; ++epoch) {
          trainer.run_epoch(data, [&](const BatchProgress&) {
            counts.push_back(*allocation_count());
            return true;
          });
        }
        CAPTURE(run.shape.hidden, threads, truncation);
        CHECK(counts[counts.size() / 2] == counts.back());  // threads may keep copies of operands
      }
    }
  }
}

TEST_CASE("the allocation count counts") {
  const auto before = allocation_count();
  const std::vector<float> plain(100);
  const AlignedVector<float> aligned(plain.size());
  if (before) CHECK(*allocation_count() - *before == 2);
}

bool flushes_denormals() {
  const volatile float smallest = std::numeric_limits<float>::min();
  const volatile float half = 0.5f;
  return smallest * half == 0;
}

TEST_CASE("training and prediction leave the caller's floating-point mode alone") {
  const Sizes shape{2, 9, 3};
  const Dataset data = ragged_data(shape, 20, 4);
  Parameters parameters = random_network(shape);
  Trainer trainer(parameters, all_features());
  trainer.run_epoch(data, [](const BatchProgress&) {
    CHECK_FALSE(flushes_denormals());
    return true;
  });
  const auto asked = [] {
    CHECK_FALSE(flushes_denormals());
    return false;
  };
  trainer.run_epoch(data, {}, asked);
  CHECK_FALSE(flushes_denormals());
  CHECK(predict_proba(parameters, data).size() == 60);
  CHECK_FALSE(flushes_denormals());
  const FlushDenormals flush;
  trainer.run_epoch(data);
  CHECK(flushes_denormals());
}

}  // namespace
}  // namespace lockstep
