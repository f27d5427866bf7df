// Trainings that keep the states of a part of the timesteps have the bits of those that keep all.
#include <bit>
#include <cstdint>
#include <string>
#include <vector>

#include "catch.h"
#include "floats.h"
#include "lockstep/backend.h"
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

// A stack of directions, first layer first.
Network mixed_network(const std::string& cell, const std::vector<bool>& bidirectional) {
  Network network = network_of(cell, 13, bidirectional.size());
  for (std::size_t i = 0; i < bidirectional.size(); ++i) {
    network.layers[i].bidirectional = bidirectional[i];
    network.layers[i].hidden += 2 * i;
  }
  return network;
}

// Of some sequences a part is not known, in the others all is.
std::vector<int> step_labels(std::size_t steps, std::size_t sequence) {
  std::vector<int> labels(steps);
  for (std::size_t t = 0; t < steps; ++t) {
    const bool is_known = sequence % 4 != 0 || t % 5 != 0;
    labels[t] = is_known ? static_cast<int>((t / 3 + sequence) % kOutputs) : kNoLabel;
  }
  return labels;
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
    if (kind == TargetKind::step_labels) data.add_steps(x, step_labels(steps, i));
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

// Weights, and bits of losses and accuracies.
using Result = std::vector<std::uint64_t>;

struct Outcome {
  Result result;
  std::size_t bytes;
};

Outcome train_once(const Network& network, const Dataset& data, const Options& options) {
  Parameters parameters(network);
  initialize(parameters, Initializer::xavier, 0, /*seed=*/5);
  Trainer trainer(parameters, options);
  Result result;
  for (std::size_t epoch = 0; epoch < options.epochs; ++epoch) {
    const EpochResult found = trainer.run_epoch(data);
    result.push_back(std::bit_cast<std::uint64_t>(found.loss));
    result.push_back(std::bit_cast<std::uint64_t>(found.accuracy));
  }
  result.push_back(weights_hash(parameters));
  return {result, trainer.workspace_bytes()};
}

// The fewest bytes that a refusal names.
std::size_t least_bytes(const Network& network, const Dataset& data, Options options) {
  options.memory = 1;
  try {
    train_once(network, data, options);
  } catch (const InvalidArgument& error) {
    const std::string text = error.what();
    const std::string before = "memory: a training step takes at least ";
    REQUIRE_THAT(text, ContainsSubstring(before) && ContainsSubstring(" bytes, found '1'"));
    return std::stoull(text.substr(text.find(before) + before.size()));
  }
  FAIL("one byte was enough");
  return 0;
}

// The reference rounds the gradient of a head of timesteps wherever its sum is divided.
bool rounds_at_segments(const Network& network) {
  return active_backend().name == "reference" && network.head.ends_with("_steps");
}

// In ever less memory, down to the least that is told. That must be `fraction` of all at most.
void check_training(const Network& network, const Dataset& data, Options options,
                    double fraction = 0.6) {
  options.threads = 1;
  const Outcome whole = train_once(network, data, options);
  const std::size_t least = least_bytes(network, data, options);
  CAPTURE(network.layers[0].cell, network.layers.size(), network.is_bidirectional(), network.head,
          whole.bytes, least);
  CHECK(static_cast<double>(least) <= fraction * static_cast<double>(whole.bytes));
  options.memory = least - 1;
  CHECK_THROWS_AS(train_once(network, data, options), InvalidArgument);
  options.memory = whole.bytes;
  while (options.memory > least) {
    options.memory = std::max(least, std::min(options.memory / 2, whole.bytes - 1));
    CAPTURE(options.memory);
    for (const int threads : {1, 2, 3}) {
      options.threads = threads;
      const Outcome bounded = train_once(network, data, options);
      CHECK(bounded.bytes <= options.memory);
      if (!rounds_at_segments(network)) CHECK(bounded.result == whole.result);
    }
  }
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

TEST_CASE("so do heads of timesteps above a stack, of a part of the timesteps, with weights") {
  Options options = training_options();
  options.dropout = 0.3;
  options.class_weights = "balanced";
  options.label_smoothing = 0.1;
  for (const char* cell : {"tanh", "gru"}) {
    for (const std::size_t truncate : {0u, 93u}) {
      Network network = network_of(cell, 13, 2);
      network.head = "classify_steps";
      options.truncate = truncate;
      check_training(network, data_for(network, 40, 150), options);
    }
  }
  // Minibatches of parts, and a data set of sequences of which some have no target at all.
  Network network = network_of("gru", 13);
  network.head = "classify_steps";
  Dataset data = data_for(network, 40, 150);
  data.add_steps(normal_floats(2 * 120, 1), std::vector<int>(120, kNoLabel));
  options.truncate = 0;
  options.batch_size = 7;
  options.accumulate = 3;
  check_training(network, data, options);
}

TEST_CASE("so do stacks with bidirectional layers") {
  Options options = training_options();
  options.dropout = 0.3;
  for (const char* cell : {"tanh", "gru", "lstm"}) {
    for (const std::vector<bool>& directions :
         {std::vector{true, true}, {false, false, true, false}}) {
      const Network network = mixed_network(cell, directions);
      check_training(network, data_for(network, 40, 150), options, 0.7);
    }
  }
  const Network three = mixed_network("relu", {true, true, true});
  check_training(three, data_for(three, 20, 150), options, 0.7);
  for (const Pooling pool : {Pooling::mean, Pooling::max}) {
    Network network = mixed_network("gru", {true, true});
    network.pool = pool;
    check_training(network, data_for(network, 40, 150), options);
  }
  for (const char* head : {"classify_steps", "regress_steps"}) {
    for (const bool is_last : {false, true}) {
      Network network = mixed_network("lstm", {!is_last, is_last});
      network.head = head;
      check_training(network, data_for(network, 40, 150), options);
    }
  }
}

TEST_CASE("so do those whose threads share the columns of large weights") {
  for (const char* cell : {"tanh", "gru"}) {
    const Network network = network_of(cell, 384);
    check_training(network, data_for(network, 6, 80), training_options(), 1);
  }
  for (const char* head : {"classify", "regress_steps"}) {
    Network network = network_of("tanh", 270, 2, true);
    network.head = head;
    check_training(network, data_for(network, 6, 80), training_options(), 1);
  }
  // Layers whose deltas are kept together in blocks of different length.
  Network network = network_of("tanh", 20, 2);
  network.layers[1].hidden = 260;
  check_training(network, data_for(network, 2, 1500), training_options());
}

// Any number of segments, and a backward pass that finds the first of them in memory.
TEST_CASE("gradients have the same bits for any number of segments, and again") {
  std::vector<Network> networks;
  for (const char* cell : {"tanh", "lstm"}) {
    networks.push_back(network_of(cell, 7, 2));
    networks.push_back(network_of(cell, 7, 2, true));
    for (const bool bidirectional : {false, true}) {
      networks.push_back(network_of(cell, 7, 1, bidirectional));
      networks.back().head = "classify_steps";
    }
  }
  for (const Network& network : networks) {
    if (rounds_at_segments(network)) continue;
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
      const std::size_t rows = segment_rows_of(network, size, LossSettings{}.options, segments);
      CAPTURE(network.layers[0].cell, network.head, segments, rows);
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
}

// As few bytes as any bound makes of a training of 20 sequences.
std::size_t fewest_bytes(const Network& network, std::size_t steps) {
  Options options = training_options();
  options.batch_size = 20;
  std::size_t least = training_workspace_bytes(network, options, 20, steps);
  for (options.memory = least; options.memory > 0; options.memory -= options.memory / 16 + 1) {
    try {
      least = std::min(least, training_workspace_bytes(network, options, 20, steps));
    } catch (const InvalidArgument&) {
      break;
    }
  }
  return least;
}

TEST_CASE("the least memory grows with the root of the length where no direction is reversed") {
  for (const char* head : {"classify", "classify_steps", "regress_steps"}) {
    Network network = network_of("gru", 64, 2);
    network.head = head;
    CAPTURE(head);
    CHECK(fewest_bytes(network, 1600000) < 5 * fewest_bytes(network, 100000));
  }
}

TEST_CASE(
    "of bidirectional stacks and heads only outputs and their gradients grow with the length") {
  const auto floats_of_a_timestep = [](const Network& network) {
    const std::size_t more = fewest_bytes(network, 200000) - fewest_bytes(network, 100000);
    return static_cast<double>(more) / (20 * 100000 * sizeof(float));
  };
  // Outputs of two directions to the layer above, and the gradients of two directions of it.
  CHECK(floats_of_a_timestep(network_of("lstm", 64, 2, true)) < 1.1 * (2 + 4) * 64);
  // Outputs, and later their gradients in the same place; and the rows of the loss.
  Network of_steps = network_of("lstm", 64, 1, true);
  of_steps.head = "classify_steps";
  CHECK(floats_of_a_timestep(of_steps) < 1.1 * (16 + 2 * 64 + 16 + 5));
}

}  // namespace
}  // namespace lockstep
