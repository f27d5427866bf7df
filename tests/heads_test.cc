// Heads and their losses: gradients, weights, what is not known, and one result everywhere.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "backend_scope.h"
#include "catch.h"
#include "floats.h"
#include "heads/head.h"
#include "lockstep/rnn.h"
#include "lockstep/threads.h"
#include "networks.h"
#include "temporary_directory.h"
#include "train/training_step.h"

namespace lockstep {
namespace {

constexpr float kUnknown = std::numeric_limits<float>::quiet_NaN();
constexpr std::size_t kOutputs = 3;

struct Shape {
  std::string head;
  std::string cell = "gru";
  std::size_t layers = 1;
  bool bidirectional = false;
  Pooling pool = Pooling::last;
  std::size_t hidden = 5;

  [[nodiscard]] Network network() const {
    const Layer layer{.cell = cell, .hidden = hidden, .bidirectional = bidirectional};
    return {.features = 2,
            .layers = std::vector<Layer>(layers, layer),
            .head = head,
            .pool = pool,
            .outputs = kOutputs};
  }
  [[nodiscard]] Parameters parameters() const {
    Parameters p(network());
    initialize(p, Initializer::pytorch, 0, /*seed=*/5);
    return p;
  }
};

// Ragged sequences of several weights; some targets are not known.
Dataset data_for(const std::string& head, std::size_t size, std::size_t longest) {
  const TargetKind kind = targets_of_head(head);
  Dataset data(2, kind, {"a", "b", "c"});
  for (std::size_t i = 0; i < size; ++i) {
    const std::size_t steps = 1 + (i * 5 + 2) % longest;
    const std::vector<float> x = normal_floats(2 * steps, i);
    std::vector<float> y = normal_floats(kOutputs * (is_of_steps(kind) ? steps : 1), i + 100);
    if (head == "multilabel") {
      for (float& target : y) target = target > 1.0f ? 1.0f : 0.0f;
    }
    y[i % y.size()] = i % 3 == 1 ? kUnknown : y[i % y.size()];
    std::vector<int> labels(steps);
    for (std::size_t t = 0; t < steps; ++t) labels[t] = static_cast<int>((t * t + i) % 4) - 1;
    if (kind == TargetKind::label) {
      data.add(x, static_cast<int>((i * i) % 3));
    } else if (kind == TargetKind::step_labels) {
      data.add_steps(x, labels);
    } else {
      data.add_values(x, y);
    }
    data.set_weight(i, std::array{1.0f, 0.25f, 1.0f, 0.0f, 3.0f}[i % 5]);
  }
  return data;
}

std::vector<Options> losses_of(const std::string& head) {
  std::vector<Options> list{{}};
  if (head.starts_with("classify")) {
    list.push_back({.class_weights = "balanced"});
    list.push_back({.class_weights = "c=2.5,a=0"});
    list.push_back({.label_smoothing = 0.2});
    list.push_back({.class_weights = "balanced", .label_smoothing = 0.1});
  } else if (head.starts_with("regress")) {
    list.push_back({.loss = RegressionLoss::huber, .delta = 0.5});
    list.push_back({.loss = RegressionLoss::mae});
  }
  return list;
}

void check_gradients_of(const Shape& shape, const Options& options) {
  const Parameters parameters = shape.parameters();
  const Dataset data = data_for(shape.head, 9, 7);
  for (const std::string& name : runnable_backends()) {
    const BackendScope scope(name);
    for (const GradientError& error : check_gradients(parameters, data, options, 1e-5, 5)) {
      CAPTURE(shape.head, shape.cell, shape.layers, shape.bidirectional, shape.pool,
              options.get("loss"), options.get("class_weights"), options.label_smoothing, name,
              error.tensor);
      CHECK(error.analytic_error < kAnalyticErrorBound);
      CHECK(error.fast_error < kFastErrorBound);
    }
  }
}

TEST_CASE("gradients of every head and loss pass the gradient check") {
  for (const Head* head : kHeads) {
    for (const Options& options : losses_of(std::string(head->name))) {
      check_gradients_of({.head = std::string(head->name)}, options);
    }
  }
}

TEST_CASE("gradients of every head pass the check behind every kind of layers") {
  for (const Head* head : kHeads) {
    const std::string name(head->name);
    check_gradients_of({.head = name, .cell = "tanh"}, {});
    check_gradients_of({.head = name, .cell = "relu", .layers = 2}, {.truncate = 3});
    check_gradients_of({.head = name, .cell = "lstm", .bidirectional = true}, {});
    check_gradients_of({.head = name, .layers = 2, .bidirectional = true}, {.dropout = 0.3});
    check_gradients_of(
        {.head = name, .cell = "tanh", .layers = 2, .bidirectional = true, .hidden = 21}, {});
    if (is_of_steps(head->targets)) continue;
    check_gradients_of({.head = name, .bidirectional = true, .pool = Pooling::mean}, {});
    check_gradients_of({.head = name, .cell = "lstm", .pool = Pooling::max}, {.truncate = 3});
  }
}

TEST_CASE("trainings and predictions of every head have the same bits everywhere") {
  for (const Head* head : kHeads) {
    for (const std::size_t hidden : {19u, 210u}) {
      const Shape shape{.head = std::string(head->name), .bidirectional = true, .hidden = hidden};
      const Dataset data = data_for(shape.head, 40, 6);
      Options options;
      options.epochs = 2;
      options.batch_size = 25;
      options.threads = 1;
      options.class_weights = "balanced";
      const auto trained = [&] {
        Parameters p = shape.parameters();
        train(p, data, options);
        return p;
      };
      const Parameters serial = trained();
      CHECK_FALSE(serial == shape.parameters());
      const std::vector<float> expected = predict_proba(serial, data, 1);
      for (const int threads : {2, 3, 8}) {
        CAPTURE(shape.head, hidden, threads);
        options.threads = threads;
        CHECK(trained() == serial);
        CHECK(same_bits(predict_proba(serial, data, threads), expected));
      }
      options.threads = 1;
      if (!active_backend().fused) continue;
      for (const std::string& name : fused_backends()) {
        CAPTURE(shape.head, hidden, name);
        const BackendScope scope(name);
        CHECK(trained() == serial);
        CHECK(same_bits(predict_proba(serial, data, 1), expected));
      }
    }
  }
}

TEST_CASE("the memory of a training with every head is known beforehand") {
  for (const Head* head : kHeads) {
    const Shape shape{.head = std::string(head->name)};
    Options options;
    options.batch_size = 10;
    Dataset data(2, head->targets, {"a", "b", "c"});
    for (int i = 0; i < 20; ++i) data.add_unknown(normal_floats(2 * 6, 1));
    if (head->targets == TargetKind::label) {
      data = equal_data(Sizes{2, 5, 3}, 20, 6);
    } else if (head->targets == TargetKind::step_labels) {
      data.add_steps(normal_floats(12, 1), std::vector<int>(6, 1));
    } else {
      data.add_values(normal_floats(12, 1),
                      std::vector<float>(is_of_steps(head->targets) ? 18 : 3, 1.0f));
    }
    Parameters p = shape.parameters();
    Trainer trainer(p, options);
    trainer.run_epoch(data);
    CAPTURE(shape.head);
    CHECK(trainer.workspace_bytes() ==
          training_workspace_bytes(shape.network(), options, data.size(), 6));
  }
}

TEST_CASE("labels are predicted for each timestep, and refused of values") {
  const Shape shape{.head = "classify_steps"};
  const Parameters p = shape.parameters();
  const Dataset data = data_for("classify_steps", 5, 6);
  const std::vector<float> q = predict_proba(p, data);
  const std::vector<int> found = predict(p, data);
  REQUIRE(found.size() == data.total_timesteps());
  for (std::size_t i = 0; i < found.size(); ++i) {
    const auto row = std::span(q).subspan(3 * i, 3);
    CHECK(found[i] == std::ranges::max_element(row) - row.begin());
  }
  CHECK_THROWS_WITH(predict(Shape{.head = "regress"}.parameters(), data),
                    ContainsSubstring("values, not classes"));
  CHECK_THROWS_WITH(Parameters(Shape{.head = "classify_steps", .pool = Pooling::mean}.network()),
                    ContainsSubstring("reads each timestep by itself"));
}

TEST_CASE("the loss of several labels is finite and right for any logit") {
  const FlushDenormals flush;
  for (const float logit : {-200.0f, -90.0f, 0.0f, 5.0f, 90.0f, 200.0f}) {
    for (const float target : {0.0f, 0.25f, 1.0f}) {
      float y = logit;
      double loss = 0;
      kMultilabelHead.loss({.outputs = {&y, 1, 1}, .labels = nullptr, .targets = &target}, {},
                           &loss);
      std::vector<double> expected{static_cast<double>(logit)};
      const double right = kMultilabelHead.define(expected, {.values = std::span(&target, 1)}, {});
      CAPTURE(logit, target);
      CHECK(loss == Approx(right).epsilon(1e-5).margin(1e-6));
      CHECK(static_cast<double>(y) == Approx(expected[0]).margin(1e-6));
    }
  }
  Dataset wrong(2, TargetKind::values, {"a", "b", "c"});
  wrong.add_values(normal_floats(4, 1), std::vector<float>{0, 1, 2});
  CHECK_THROWS_WITH(Model(wrong, {.head = "multilabel"}), ContainsSubstring("is 0 or 1"));
}

TEST_CASE("a trainer weighs the classes of each data set anew") {
  const Shape shape{.head = "classify"};
  Options options = gradient_descent();
  options.class_weights = "balanced";
  Dataset two(2, {"a", "b"});
  Dataset three(2, {"a", "b", "c"});
  for (int i = 0; i < 6; ++i) {
    two.add(normal_floats(6, 1), i % 2);
    three.add(normal_floats(6, 1), i % 3);
  }
  Parameters first = shape.parameters();
  Trainer trainer(first, options);
  trainer.run_epoch(two);
  Parameters second = first;
  trainer.run_epoch(three);
  Trainer(second, options).run_epoch(three);
  CHECK(first == second);
}

TEST_CASE("what is not known counts nowhere") {
  // The same network learns the same from the known targets alone.
  const Shape shape{.head = "classify_steps"};
  Dataset data(2, TargetKind::step_labels, {"a", "b", "c"});
  const std::vector<float> x = normal_floats(2 * 4, 1);
  data.add_steps(x, std::vector<int>{-1, 2, -1, 0});
  Options options = gradient_descent();
  Parameters p = shape.parameters();
  const EpochResult result = Trainer(p, options).run_epoch(data);
  const std::vector<float> q = predict_proba(shape.parameters(), data);
  const double expected =
      -(std::log(static_cast<double>(q[1 * 3 + 2])) + std::log(static_cast<double>(q[3 * 3 + 0]))) /
      2;
  CHECK(result.loss == Approx(expected));
  const Evaluation evaluation = evaluate(shape.network(), q, data);
  CHECK(evaluation.samples == 2);
  CHECK(evaluation.loss == Approx(expected));

  Dataset unknown(2, TargetKind::step_labels, {"a", "b", "c"});
  unknown.add_unknown(x);
  Parameters same = shape.parameters();
  CHECK_THROWS_WITH(Trainer(same, options).run_epoch(unknown),
                    ContainsSubstring("no target counts"));
  CHECK(same == shape.parameters());
}

TEST_CASE("a weighted loss is the sum of weighted losses divided by the sum of weights") {
  const Shape shape{.head = "classify"};
  Dataset data(2, {"a", "b", "c"});
  for (const int label : {0, 0, 0, 1, 1, 2}) {
    data.add(normal_floats(2 * 3, static_cast<std::uint64_t>(label + 7)), label);
  }
  Options options = gradient_descent();
  const std::vector<float> q = predict_proba(shape.parameters(), data);
  const auto check_loss = [&](const std::vector<double>& weights) {
    double loss = 0;
    double sum = 0;
    for (std::size_t i = 0; i < data.size(); ++i) {
      const auto label = static_cast<std::size_t>(data.label(i));
      const double weight = weights[label] * static_cast<double>(data.weight(i));
      loss -= weight * std::log(static_cast<double>(q[3 * i + label]));
      sum += weight;
    }
    Parameters p = shape.parameters();
    CHECK(Trainer(p, options).run_epoch(data).loss == Approx(loss / sum));
  };
  options.class_weights = "balanced";
  check_loss({6.0 / 9, 1, 2});
  options.class_weights = "b=0.5,c=4";
  check_loss({1, 0.5, 4});
  data.set_weight(1, 3);
  data.set_weight(5, 0.125f);
  check_loss({1, 0.5, 4});
  options.class_weights = "none";
  check_loss({1, 1, 1});
}

TEST_CASE("a weight of 2 is a sequence that is there twice, of every head") {
  for (const Head* head : kHeads) {
    const Shape shape{.head = std::string(head->name)};
    const Dataset some = data_for(shape.head, 8, 5);
    Dataset weighted = some;
    std::vector<std::size_t> rows;
    for (std::size_t i = 0; i < some.size(); ++i) {
      weighted.set_weight(i, i % 3 == 1 ? 2.0f : 1.0f);
      rows.insert(rows.end(), i % 3 == 1 ? 2 : 1, i);
    }
    Dataset repeated = some.subset(rows);
    for (std::size_t i = 0; i < repeated.size(); ++i) repeated.set_weight(i, 1);
    const Options options = gradient_descent();
    Parameters a = shape.parameters();
    Parameters b = shape.parameters();
    const double loss = Trainer(a, options).run_epoch(weighted).loss;
    CAPTURE(shape.head);
    CHECK(loss == Approx(Trainer(b, options).run_epoch(repeated).loss));
    for (std::size_t i = 0; i < a.values().size(); ++i) {
      CHECK(static_cast<double>(a.values()[i]) ==
            Approx(static_cast<double>(b.values()[i])).margin(1e-6));
    }
  }
}

TEST_CASE("what has the weight 0 counts nowhere, whatever it is") {
  Dataset data(1, TargetKind::values, {"y"});
  for (const float target : {1.0f, 2.0f, 3.0f}) data.add_values(normal_floats(3, 1), {&target, 1});
  Dataset few = data;
  const float huge = 3e38f;
  data.add_values(normal_floats(3, 2), {&huge, 1});
  data.set_weight(3, 0);
  Options options = gradient_descent();
  options.normalize_targets = false;
  options.hidden = 4;
  options.epochs = 1;
  Model model(few, options);
  const double loss = model.fit(few).history.front().loss;
  Model same(few, options);
  const FitResult result = same.fit(data);
  CHECK(result.status == FitStatus::finished);
  CHECK(result.history.front().loss == Approx(loss));
}

TEST_CASE("weights that make no sense are refused") {
  Dataset data = equal_data(Sizes{2, 5, 3}, 4, 3);
  CHECK_THROWS_WITH(data.set_weight(4, 1), ContainsSubstring("no such sequence"));
  for (const float weight : {-1.0f, kUnknown, std::numeric_limits<float>::infinity()}) {
    CHECK_THROWS_WITH(data.set_weight(0, weight), ContainsSubstring("0 or more"));
  }
  CHECK_THROWS_WITH(Model(data, {.class_weights = "z=2"}),
                    ContainsSubstring("there is no class 'z', expected one of class"));
  Model model(data);
  CHECK_THROWS_WITH(model.set_options({.class_weights = "z=2"}), ContainsSubstring("no class 'z'"));
  for (std::size_t i = 0; i < data.size(); ++i) data.set_weight(i, 0);
  CHECK_THROWS_WITH(model.fit(data), ContainsSubstring("no target counts"));
  CHECK(data.subset(std::vector<std::size_t>{1}).weight(0) == 0);
}

TEST_CASE("numbers are learnt, in their units") {
  // The sum of a sequence, far from 0 and 1.
  Dataset data(1, TargetKind::values, {"sum"});
  for (std::size_t i = 0; i < 60; ++i) {
    const std::vector<float> x = normal_floats(4 + i % 3, i);
    float sum = 1000;
    for (const float value : x) sum += 50 * value;
    data.add_values(x, {&sum, 1});
  }
  Options options;
  options.cell = "gru";
  options.hidden = 16;
  options.epochs = 60;
  options.optimizer = "adam";
  options.learning_rate = 0.01;
  Model model(data, options);
  CHECK(model.parameters().network().head == "regress");
  model.fit(data);
  const Evaluation evaluation = model.evaluate(data);
  CHECK(evaluation.r2 > 0.95);
  CHECK(evaluation.rmse < 40);
  CHECK(std::isnan(evaluation.accuracy));
  CHECK_THROWS_WITH(model.predict(data), ContainsSubstring("values, not classes"));
  const std::vector<float> found = model.predict_proba(data);
  double squares = 0;
  for (std::size_t i = 0; i < data.size(); ++i) {
    const double d = static_cast<double>(found[i]) - static_cast<double>(data.targets(i)[0]);
    squares += d * d;
  }
  CHECK(evaluation.rmse == Approx(std::sqrt(squares / 60)));
  // The loss is that of the standardised numbers, as in the training.
  const double scale = static_cast<double>(model.target_scale().scale[0]);
  CHECK(evaluation.loss == Approx(squares / 60 / (scale * scale)));
}

TEST_CASE("a model file says by which loss its numbers were learnt") {
  const TemporaryDirectory directory;
  const auto path = directory / "model";
  const Dataset data = data_for("regress", 20, 6);
  Options options;
  options.hidden = 6;
  options.epochs = 2;
  options.loss = RegressionLoss::huber;
  options.delta = 0.125;
  Model model(data, options);
  model.fit(data);
  model.save(path);
  const Model loaded = Model::load(path);
  CHECK(loaded.options().loss == RegressionLoss::huber);
  CHECK(loaded.options().delta == 0.125);
  CHECK(loaded.evaluate(data).loss == model.evaluate(data).loss);
}

TEST_CASE("a head refuses targets of another kind") {
  const Dataset labels = equal_data(Sizes{2, 5, 3}, 4, 3);
  CHECK_THROWS_WITH(Model(labels, {.head = "regress"}),
                    ContainsSubstring("needs values of each sequence") &&
                        ContainsSubstring("have a class of each sequence"));
  Dataset two(2, TargetKind::values, {"a", "b"});
  two.add_values(normal_floats(4, 1), normal_floats(2, 1));
  Parameters p = Shape{.head = "regress"}.parameters();
  CHECK_THROWS_WITH(Trainer(p, {}).run_epoch(two), ContainsSubstring("has 3 outputs"));
}

TEST_CASE("a stream has after each timestep what a head of timesteps predicts") {
  for (const char* head : {"classify_steps", "regress_steps"}) {
    const Shape shape{.head = head, .cell = "lstm", .layers = 2};
    const Parameters p = shape.parameters();
    const Dataset data = data_for(head, 3, 6);
    const std::vector<float> expected = predict_proba(p, data);
    for (std::size_t i = 0; i < data.size(); ++i) {
      Stream stream(p);
      for (std::size_t t = 0; t < data.length(i); ++t) {
        stream.feed(data.sequence(i).subspan(2 * t, 2));
        const auto row = std::span(expected).subspan((data.first_timestep(i) + t) * 3, 3);
        CHECK(same_bits(stream.probabilities(), row));
      }
    }
  }
}

TEST_CASE("evaluations of numbers and of several labels follow their definitions") {
  Dataset data(1, TargetKind::values, {"a", "b"});
  data.add_values(std::vector<float>{1}, std::vector<float>{1, 2});
  data.add_values(std::vector<float>{1}, std::vector<float>{3, kUnknown});
  data.add_values(std::vector<float>{1}, std::vector<float>{5, 6});
  const std::vector<float> predicted{1, 3, 4, 0, 4, 6};
  Network network{.features = 1, .layers = {{"tanh", 2}}, .head = "regress", .outputs = 2};
  const Evaluation e = evaluate(network, predicted, data);
  CHECK(e.samples == 3);
  CHECK(e.mae == Approx(3.0 / 5));
  CHECK(e.rmse == Approx(std::sqrt(3.0 / 5)));
  CHECK(e.r2 == Approx(((1 - 2.0 / 8) + (1 - 1.0 / 8)) / 2));
  CHECK(evaluate(network, predicted, data, {.loss = RegressionLoss::mae}).loss == Approx(e.mae));
  network.head = "multilabel";
  Dataset labels(1, TargetKind::values, {"a", "b"});
  labels.add_values(std::vector<float>{1}, std::vector<float>{1, 0});
  labels.add_values(std::vector<float>{1}, std::vector<float>{kUnknown, 1});
  CHECK_THROWS_AS(evaluate(network, std::vector<float>{1}, labels), std::invalid_argument);
  const Evaluation m = evaluate(network, std::vector<float>{0.75f, 0.5f, 0.9f, 0.25f}, labels);
  CHECK(m.accuracy == Approx(2.0 / 3));
  CHECK(m.confusion.empty());
  CHECK(m.support == std::vector<std::size_t>{1, 1});
  CHECK(m.precision[0] == 1);
  CHECK(m.recall[1] == 0);
  CHECK(std::isnan(m.precision[1]));
  CHECK(m.macro_f1 == 0.5);
  CHECK(m.loss == Approx(-(std::log(0.75) + std::log(0.5) + std::log(0.25)) / 3));
}

TEST_CASE("a training of every head resumes from its checkpoint") {
  const TemporaryDirectory directory;
  const auto path = directory / "checkpoint";
  for (const Head* head : kHeads) {
    const std::string name(head->name);
    const Dataset data = data_for(name, 20, 6);
    Options options;
    options.head = name;
    options.hidden = 6;
    options.epochs = 3;
    options.batch_size = 6;
    options.class_weights = is_label(head->targets) ? "a=2,b=0.5" : "none";
    options.label_smoothing = 0.1;
    Model whole(data, options);
    whole.fit(data);
    Model first(data, options);
    FitObserver observer;
    observer.checkpoints = {.path = path};
    std::size_t minibatches = 0;
    observer.on_batch = [&](const BatchProgress&) { return ++minibatches < 6; };
    first.fit(data, observer);
    Model second = Model::resume(path);
    second.fit(data);
    CAPTURE(name);
    CHECK(second.weights_hash() == whole.weights_hash());
    CHECK(same_bits(second.predict_proba(data), whole.predict_proba(data)));
  }
}

TEST_CASE("models of every head are saved and loaded") {
  const TemporaryDirectory directory;
  const auto path = directory / "model";
  for (const Head* head : kHeads) {
    const std::string name(head->name);
    const Dataset data = data_for(name, 20, 6);
    Options options;
    options.head = name;
    options.hidden = 6;
    options.epochs = 2;
    Model model(data, options);
    model.fit(data);
    model.save(path);
    const Model loaded = Model::load(path);
    CAPTURE(name);
    CHECK(loaded.parameters() == model.parameters());
    CHECK(same_bits(loaded.predict_proba(data), model.predict_proba(data)));
    CHECK(loaded.options().head == name);
  }
}

}  // namespace
}  // namespace lockstep
