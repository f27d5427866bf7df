// Trainings that keep the states of a part of the timesteps have the bits of those that keep all.
#include <cstdint>
#include <string>
#include <vector>

#include "catch.h"
#include "floats.h"
#include "lockstep/rnn/random.h"
#include "lockstep/rnn/trainer.h"
#include "lockstep/threads.h"
#include "networks.h"
#include "train/training_step.h"

namespace lockstep {
namespace {

constexpr std::size_t kOutputs = 3;

Network network_of(const std::string& cell, std::size_t hidden, std::size_t layers = 1,
                   bool bidirectional = false) {
  const Layer layer{.cell = cell, .hidden = hidden, .bidirectional = bidirectional};
  return {.features = 2, .layers = std::vector<Layer>(layers, layer), .outputs = kOutputs};
}

// Ragged sequences, several of some lengths, with targets of the head. (11 divides no `longest`
// here.)
Dataset data_for(const Network& network, std::size_t size, std::size_t longest) {
  const TargetKind kind = targets_of_head(network.head);
  Dataset data(network.features, kind, std::vector<std::string>(kOutputs, "name"));
  for (std::size_t i = 0; i < size; ++i) {
    const std::size_t steps = longest - i * 11 % longest;
    const std::vector<float> x = normal_floats(steps * network.features, i);
    const int label = static_cast<int>(i % kOutputs);
    if (kind == TargetKind::label) data.add(x, label);
    if (kind == TargetKind::step_labels) data.add_steps(x, std::vector<int>(steps, label));
    if (kind == TargetKind::values) data.add_values(x, normal_floats(kOutputs, i));
    if (kind == TargetKind::step_values) data.add_values(x, normal_floats(kOutputs * steps, i));
  }
  return data;
}

// The last minibatch is partial, and has fewer leaves.
Options training_options() {
  Options options = gradient_descent();
  options.epochs = 2;
  options.batch_size = 34;
  options.momentum = 0.9;
  return options;
}

struct Outcome {
  std::uint64_t hash;
  std::size_t bytes;
};

Outcome train_once(const Network& network, const Dataset& data, const Options& options) {
  Parameters parameters(network);
  initialize(parameters, Initializer::xavier, 0, /*seed=*/5);
  Trainer trainer(parameters, options);
  for (std::size_t epoch = 0; epoch < options.epochs; ++epoch) trainer.run_epoch(data);
  return {weights_hash(parameters), trainer.workspace_bytes()};
}

// In ever less memory, down to where it is refused.
void check_training(const Network& network, const Dataset& data, Options options) {
  options.threads = 1;
  const Outcome whole = train_once(network, data, options);
  std::size_t less = 0;
  for (options.memory = whole.bytes - 1;; options.memory /= 2) {
    CAPTURE(network.layers[0].cell, network.layers.size(), network.head, options.memory);
    REQUIRE(options.memory > 0);
    Outcome bounded{};
    try {
      bounded = train_once(network, data, options);
    } catch (const InvalidArgument&) {
      break;
    }
    CHECK(bounded.hash == whole.hash);
    CHECK(bounded.bytes <= options.memory);
    Options several = options;
    for (const int threads : {2, 3}) {
      several.threads = threads;
      CHECK(train_once(network, data, several).hash == whole.hash);
    }
    ++less;
  }
  CHECK(less > 0);
}

TEST_CASE("trainings in bounded memory have the bits of those that keep all states") {
  for (const char* cell : {"tanh", "relu", "gru", "lstm"}) {
    for (const auto& [layers, bidirectional] :
         {std::pair<std::size_t, bool>{1, false}, {3, false}, {1, true}}) {
      const Network network = network_of(cell, 19, layers, bidirectional);
      check_training(network, data_for(network, 40, 150), training_options());
    }
  }
}

TEST_CASE("so do those that pool, drop outputs or go back over the last timesteps") {
  for (const Pooling pool : {Pooling::mean, Pooling::max}) {
    for (const bool bidirectional : {false, true}) {
      Network network = network_of("gru", 13, 1, bidirectional);
      network.pool = pool;
      check_training(network, data_for(network, 40, 150), training_options());
    }
  }
  for (const char* cell : {"tanh", "lstm"}) {
    for (const std::size_t layers : {1u, 2u}) {
      const Network network = network_of(cell, 19, layers);
      Options options = training_options();
      options.dropout = 0.3;
      options.truncate = 93;
      check_training(network, data_for(network, 40, 150), options);
    }
  }
}

TEST_CASE("so do those of every head") {
  for (const std::string& head : head_names()) {
    if (head == "multilabel") continue;  // as regress, but for its loss
    for (const bool bidirectional : {false, true}) {
      Network network = network_of("lstm", 13, 1, bidirectional);
      network.head = head;
      check_training(network, data_for(network, 40, 150), training_options());
    }
  }
}

TEST_CASE("so do those whose threads share the columns of large weights") {
  for (const char* cell : {"tanh", "gru"}) {
    const Network network = network_of(cell, 384);
    check_training(network, data_for(network, 20, 80), training_options());
  }
  // Layers whose deltas are kept together in blocks of different length.
  Network network = network_of("tanh", 20, 2);
  network.layers[1].hidden = 260;
  check_training(network, data_for(network, 2, 1500), training_options());
}

// Any number of segments, and a backward pass that finds the first of them in memory.
TEST_CASE("gradients have the same bits for any number of segments, and again") {
  for (const char* cell : {"tanh", "lstm"}) {
    const Network network = network_of(cell, 7, 2);
    const Dataset data = data_for(network, 21, 170);
    Parameters p(network);
    initialize(p, Initializer::xavier, 0, /*seed=*/5);
    std::vector<std::size_t> all = first_indices(data.size());
    const MinibatchSize size = largest_minibatch(data, data.size(), kWholeSequences, all);
    const auto gradient_of = [&](std::size_t segment_rows, std::size_t runs) {
      WithMemory<TrainingStep> step(network, size, LossSettings{}, std::size_t{1}, segment_rows);
      step->begin(data, all);
      step->forward(p, data, Team());
      for (std::size_t i = 0; i < runs; ++i) step->backward(data, Team());
      return std::vector<float>(step->gradient().begin(), step->gradient().end());
    };
    const std::vector<float> whole = gradient_of(0, 1);
    std::size_t divided = 0;
    for (std::size_t segments = 2; segments <= 12; ++segments) {
      const std::size_t rows = segment_rows_of(network, size, kWholeSequences, segments);
      CAPTURE(cell, segments, rows);
      divided += rows > 0 ? 1 : 0;
      CHECK(same_bits(gradient_of(rows, 1), whole));
      CHECK(same_bits(gradient_of(rows, 3), whole));
    }
    CHECK(divided >= 4);
  }
}

TEST_CASE("a bound of the memory is kept, told beforehand, or refused with what would be needed") {
  const Network network = network_of("gru", 19);
  Options options = training_options();
  options.batch_size = 20;
  const std::size_t whole = training_workspace_bytes(network, options, 40, 3000);
  options.memory = whole;
  CHECK(training_workspace_bytes(network, options, 40, 3000) == whole);
  options.memory = whole / 10;
  const std::size_t bounded = training_workspace_bytes(network, options, 40, 3000);
  CHECK(bounded <= whole / 10);
  const Dataset data = equal_data(Sizes{2, 19, 3, "gru"}, 40, 3000);
  options.epochs = 1;
  CHECK(train_once(network, data, options).bytes == bounded);

  options.memory = 1000;
  CHECK_THROWS_WITH(train_once(network, data, options),
                    ContainsSubstring("memory: a training step takes at least ") &&
                        ContainsSubstring("bytes, found '1000'"));
  CHECK_THROWS_AS(training_workspace_bytes(network, options, 40, 3000), InvalidArgument);
  // Its second layer reads the first one's outputs at all timesteps.
  const Network both = network_of("gru", 19, 2, true);
  options.memory = 0;
  options.memory = training_workspace_bytes(both, options, 40, 3000);
  CHECK_NOTHROW(training_workspace_bytes(both, options, 40, 3000));
  --options.memory;
  CHECK_THROWS_AS(training_workspace_bytes(both, options, 40, 3000), InvalidArgument);
}

}  // namespace
}  // namespace lockstep
