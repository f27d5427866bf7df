// Model: training with validation, early stopping, divergence; prediction on data as measured.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "catch.h"
#include "floats.h"
#include "lockstep/rnn.h"
#include "temporary_directory.h"

namespace lockstep {
namespace {

// Noise around a mean of 30 that rises or falls.
Dataset ramps(std::size_t size, std::uint64_t seed = 1) {
  Random random(seed);
  Dataset data(1, {"down", "up"});
  for (std::size_t i = 0; i < size; ++i) {
    const double slope = i % 2 == 0 ? -1 : 1;
    std::vector<float> values;
    for (std::size_t t = 0; t < 5 + i % 4; ++t) {
      values.push_back(static_cast<float>(30 + slope * static_cast<double>(t) + random.normal()));
    }
    data.add(values, static_cast<int>(i % 2));
  }
  return data;
}

Options small(std::size_t epochs = 20) { return {.hidden = 8, .epochs = epochs, .batch_size = 5}; }

FitObserver stop_after(std::size_t epochs) {
  return {.on_batch = {},
          .on_epoch = [=](const EpochResult& epoch) { return epoch.epoch < epochs; }};
}

TEST_CASE("a model learns data as they were measured, and says so of others") {
  const Dataset train = ramps(24);
  const Dataset test = ramps(30, 2);
  Model model(train, small());
  CHECK(model.class_names() == train.class_names());
  CHECK(model.options() == small());
  const FitResult result = model.fit(train);
  CHECK(result.status == FitStatus::finished);
  CHECK(result.history.size() == 20);
  CHECK(result.kept_epoch == 20);
  CHECK(result.seconds() > 0);
  const Evaluation evaluation = model.evaluate(test);
  CHECK(evaluation.accuracy > 0.9);
  CHECK(model.evaluate(Dataset(1, {"up"})).samples == 0);

  const std::vector<float> probabilities = model.predict_proba(test);
  const std::vector<int> classes = model.predict(test);
  std::size_t hits = 0;
  for (std::size_t i = 0; i < test.size(); ++i) {
    CHECK((probabilities[2 * i + 1] > probabilities[2 * i]) == (classes[i] == 1));
    hits += classes[i] == test.label(i) ? 1 : 0;
  }
  CHECK(evaluation.accuracy == static_cast<double>(hits) / 30);
}

TEST_CASE("a model has the bits of its parts put together by hand") {
  const Dataset raw = ramps(24);
  const Options options = small(3);
  Model model(raw, options);
  model.fit(raw);

  const Normalization normalization = Normalization::fit(NormalizationKind::channel, raw);
  CHECK(model.normalization() == normalization);
  Dataset data = raw;
  normalization.apply(data);
  Parameters parameters = Model(raw, options).parameters();
  Trainer trainer(parameters, options);
  for (int epoch = 0; epoch < 3; ++epoch) trainer.run_epoch(data);
  CHECK(model.parameters() == parameters);
  CHECK(model.weights_hash() == weights_hash(parameters));
  CHECK(same_bits(model.predict_proba(raw), predict_proba(parameters, data)));
}

TEST_CASE("another fit learns on from the weights") {
  const Dataset train = ramps(24);
  Options options = small(3);
  options.schedule = LearningRateSchedule::constant;
  options.optimizer = "sgd";
  options.momentum = 0;
  options.shuffle = false;
  Model twice(train, options);
  twice.fit(train);
  CHECK(twice.fit(train).history.front().epoch == 1);
  options.epochs = 6;
  Model once(train, options);
  once.fit(train);
  CHECK(once.weights_hash() == twice.weights_hash());
  options.epochs = 2;
  twice.set_options(options);
  CHECK(twice.fit(train).history.size() == 2);
  CHECK_THROWS_AS(twice.set_options({.momentum = 1}), std::invalid_argument);
}

TEST_CASE("passes one by one have the bits of a fit") {
  const Dataset train = ramps(24);
  for (const LearningRateSchedule schedule :
       {LearningRateSchedule::cosine, LearningRateSchedule::one_cycle,
        LearningRateSchedule::plateau}) {
    Options options = small(4);
    options.schedule = schedule;
    options.decay_epochs = 1;
    options.ema = 0.9;
    options.layers = 2;
    options.dropout = 0.3;
    Model fitted(train, options);
    const FitResult whole = fitted.fit(train);
    Model model(train, options);
    for (std::size_t i = 0; i < 4; ++i) {
      const FitResult pass = model.learn(train);
      CHECK(pass.status == FitStatus::finished);
      CHECK(pass.kept_epoch == i + 1);
      REQUIRE(pass.history.size() == 1);
      CHECK(pass.history[0].epoch == i + 1);
      CHECK(pass.history[0].loss == whole.history[i].loss);
      CHECK(pass.history[0].learning_rate == whole.history[i].learning_rate);
    }
    CHECK(model.weights_hash() == fitted.weights_hash());
  }
}

TEST_CASE("passes go over data of any size, and begin anew after a fit and with other options") {
  const Dataset train = ramps(24);
  Model model(train, small());
  CHECK(model.learn(train.subset(std::vector<std::size_t>{0, 3, 5})).history[0].epoch == 1);
  CHECK(model.learn(ramps(40, 2)).history[0].epoch == 2);
  CHECK(model.learn(train.subset(std::vector<std::size_t>{1})).history[0].epoch == 3);
  model.fit(train);
  CHECK(model.learn(train).history[0].epoch == 1);
  Options options = small();
  options.optimizer = "sgd";
  model.set_options(options);
  CHECK(model.learn(train).history[0].epoch == 1);
  CHECK(model.learn(train).history[0].epoch == 2);
  const std::uint64_t before = model.weights_hash();
  CHECK_THROWS_AS(model.learn(Dataset(2)), std::invalid_argument);
  CHECK_THROWS_AS(model.learn(train.subset({})), std::invalid_argument);
  CHECK(model.weights_hash() == before);
  CHECK(model.learn(train).history[0].epoch == 3);
  Model moved = std::move(model);
  CHECK(moved.learn(train).history[0].epoch == 4);
}

TEST_CASE("a pass that ends early has taught what was done") {
  const Dataset train = ramps(24);
  Model model(train, small());
  const std::uint64_t first = model.weights_hash();
  const auto after_two = [](const BatchProgress& batch) { return batch.samples_done < 10; };
  const FitResult stopped = model.learn(train, after_two);
  CHECK(stopped.status == FitStatus::stopped);
  CHECK(model.weights_hash() != first);
  Model thrown(train, small());
  const auto throws = [](const BatchProgress& batch) -> bool {
    if (batch.samples_done >= 10) throw std::runtime_error("mine");
    return true;
  };
  CHECK_THROWS_WITH(thrown.learn(train, throws), "mine");
  CHECK(thrown.weights_hash() == model.weights_hash());
  CHECK(model.learn(train).history[0].epoch == 2);
}

TEST_CASE("a pass that diverges keeps finite weights") {
  const Dataset train = ramps(24);
  Options options = small();
  options.clip_norm = 0;
  options.learning_rate = 1e300;
  Model model(train, options);
  const std::uint64_t first = model.weights_hash();
  const FitResult result = model.learn(train);
  CHECK(result.status == FitStatus::diverged);
  CHECK(result.kept_epoch == 0);
  CHECK(model.weights_hash() == first);
  CHECK(model.learn(train).history[0].epoch == 1);
}

TEST_CASE("a validation share is held out of training and normalization, by the seed") {
  const Dataset all = ramps(40);
  Options options = small(4);
  options.validation = 0.25;
  Model model(all, options);
  const FitResult result = model.fit(all);

  const auto [train, validation] = split_validation(all, 0.25, options.seed);
  CHECK(train.size() == 30);
  CHECK(validation.size() == 10);
  CHECK(model.normalization() == Normalization::fit(NormalizationKind::channel, train));
  options.validation = 0;
  Model given(train, options);
  const FitResult expected = given.fit(train, validation);
  CHECK(given.weights_hash() == model.weights_hash());
  CHECK(result.history.back().validation_loss == expected.history.back().validation_loss);
  CHECK(result.history.back().validation_loss == given.evaluate(validation).loss);
  CHECK_FALSE(split_validation(all, 0.25, 2).validation.labels() == validation.labels());
  options.validation = 0.25;
  options.seed = 2;
  model.set_options(options);
  model.fit(all);
  CHECK(model.normalization() == Normalization::fit(NormalizationKind::channel, train));
  CHECK_THROWS_AS(split_validation(all, 0.001, 1), std::invalid_argument);
  Dataset rare(1, {"a", "b"});
  for (int i = 0; i < 100; ++i) rare.add(std::vector<float>{1}, i % 10 == 3 ? 1 : 0);
  for (const std::uint64_t seed : {1u, 2u, 3u}) {
    const Dataset part = split_validation(rare, 0.2, seed).validation;
    CHECK(part.size() == 20);
    CHECK(std::ranges::count(part.labels(), 1) == 2);
  }
  CHECK_THROWS_AS(split_validation(all, 0.999, 1), std::invalid_argument);
}

TEST_CASE("patience ends a training and keeps the weights of the smallest validation loss") {
  const Dataset train = ramps(24);
  const Dataset validation = ramps(20, 3);
  Options options = small(200);
  options.learning_rate = 0.5;
  options.momentum = 0.9;
  options.clip_norm = 0;
  options.schedule = LearningRateSchedule::constant;
  options.patience = 2;
  Model model(train, options);
  const FitResult result = model.fit(train, validation);
  CHECK(result.status == FitStatus::patience);
  CHECK(result.history.size() == result.kept_epoch + 2);
  const auto best = std::ranges::min_element(result.history, {}, &EpochResult::validation_loss);
  CHECK(best->epoch == result.kept_epoch);
  CHECK(model.evaluate(validation).loss == best->validation_loss);
  CHECK_THROWS_WITH(model.fit(train), ContainsSubstring("patience"));
}

TEST_CASE("an observer ends a training after a minibatch or an epoch") {
  const Dataset train = ramps(24);
  Model model(train, small());
  const FitResult after_epoch = model.fit(train, stop_after(3));
  CHECK(after_epoch.status == FitStatus::stopped);
  CHECK(after_epoch.history.size() == 3);
  CHECK(after_epoch.kept_epoch == 3);

  const std::uint64_t before = model.weights_hash();
  FitObserver observer;
  observer.on_batch = [](const BatchProgress& batch) { return batch.samples_done < 10; };
  const FitResult after_batch = model.fit(train, observer);
  CHECK(after_batch.status == FitStatus::stopped);
  CHECK(after_batch.history.size() == 1);
  CHECK(after_batch.kept_epoch == 1);
  CHECK(after_batch.history[0].timesteps < train.total_timesteps());
  CHECK(model.weights_hash() != before);
}

// Leaves that threads have to themselves, and such that they share.
std::vector<Options> with_leaves() {
  return {{.hidden = 8, .epochs = 3, .batch_size = 64},
          {.hidden = 400, .epochs = 3, .batch_size = 128}};
}

TEST_CASE("an interrupted minibatch has taught nothing, and what was learnt before stays") {
  const Dataset train = ramps(300);
  for (Options options : with_leaves()) {
    for (const int threads : {1, 2, 3}) {
      for (const std::size_t stop : {1u, 2u, 5u, 9u}) {
        CAPTURE(options.hidden, threads, stop);
        options.threads = threads;
        Model model(train, options);
        std::size_t minibatches = 0, asked = 0;
        FitObserver observer;
        observer.on_batch = [&](const BatchProgress&) { return ++minibatches < 10'000; };
        observer.is_interrupted = [&] { return ++asked >= stop; };
        const FitResult result = model.fit(train, observer);
        REQUIRE(result.status == FitStatus::stopped);
        CHECK(result.history.empty() == (minibatches == 0));

        Model same(train, options);
        std::size_t done = 0;
        observer.on_batch = [&](const BatchProgress&) { return ++done < minibatches; };
        observer.is_interrupted = {};
        if (minibatches > 0) same.fit(train, observer);
        CHECK(model.weights_hash() == same.weights_hash());
      }
    }
  }
}

TEST_CASE("an interrupted validation has no loss") {
  const Dataset train = ramps(24);
  Model model(train, small());
  bool is_validating = false;
  FitObserver observer;
  observer.on_batch = [&](const BatchProgress& batch) {
    is_validating = batch.samples_done == batch.samples;
    return true;
  };
  observer.is_interrupted = [&] { return is_validating; };
  const FitResult result = model.fit(train, ramps(20, 3), observer);
  CHECK(result.status == FitStatus::stopped);
  REQUIRE(result.history.size() == 1);
  CHECK(std::isnan(result.history[0].validation_loss));
  CHECK(result.kept_epoch == 1);
}

TEST_CASE("an interrupted training was stopped, also with patience") {
  const Dataset train = ramps(24);
  Options options = small();
  options.patience = 5;
  for (std::size_t stop = 1; stop < 20; ++stop) {
    CAPTURE(stop);
    Model model(train, options);
    std::size_t asked = 0;
    FitObserver observer;
    observer.is_interrupted = [&] { return ++asked >= stop; };
    CHECK(model.fit(train, ramps(20, 3), observer).status == FitStatus::stopped);
  }
}

TEST_CASE("what is_interrupted throws ends a training or a prediction, and is passed on") {
  const Dataset train = ramps(300);
  for (Options options : with_leaves()) {
    for (const int threads : {1, 2}) {
      options.threads = threads;
      Model model(train, options);
      const std::uint64_t before = model.weights_hash();
      FitObserver observer;
      observer.is_interrupted = []() -> bool { throw std::runtime_error("mine"); };
      CHECK_THROWS_WITH(model.fit(train, observer), "mine");
      CHECK_THROWS_WITH(model.learn(train, {}, observer.is_interrupted), "mine");
      CHECK_THROWS_WITH(model.predict_proba(train, threads, observer.is_interrupted), "mine");
      CHECK(model.weights_hash() == before);
    }
  }
}

TEST_CASE("after an interruption learn goes on as if it had not been called") {
  const Dataset train = ramps(300);
  for (Options options : with_leaves()) {
    options.accumulate = 2;
    options.batch_size /= 2;
    options.dropout = 0.2;
    for (const int threads : {1, 2}) {
      options.threads = threads;
      Model whole(train, options);
      Model interrupted(train, options);
      for (int pass = 1; pass <= 3; ++pass) {
        CAPTURE(options.hidden, threads, pass);
        std::size_t asked = 0;
        const auto in_first = [&] { return ++asked >= 2; };
        CHECK(interrupted.learn(train, {}, in_first).history.empty());
        CHECK(interrupted.learn(train).history[0].epoch == static_cast<std::size_t>(pass));
        whole.learn(train);
        CHECK(interrupted.weights_hash() == whole.weights_hash());
      }
    }
  }
}

TEST_CASE("an interrupted pass of learn has taught what was done") {
  const Dataset train = ramps(24);
  Model model(train, small());
  const std::uint64_t before = model.weights_hash();
  const FitResult nothing = model.learn(train, {}, [] { return true; });
  CHECK(nothing.status == FitStatus::stopped);
  CHECK(nothing.history.empty());
  CHECK(model.weights_hash() == before);
  std::size_t asked = 0;
  CHECK(model.learn(train, {}, [&] { return ++asked > 2; }).history.size() == 1);
  CHECK(model.weights_hash() != before);
}

TEST_CASE("predictions and measurements are interrupted") {
  const Dataset train = ramps(300);
  for (const Options& options : with_leaves()) {
    const Model model(train, options);
    for (const int threads : {1, 2}) {
      CAPTURE(options.hidden, threads);
      std::size_t asked = 0;
      const auto at_second = [&] { return ++asked >= 2; };
      CHECK_THROWS_AS(model.predict_proba(train, threads, at_second), Interrupted);
      CHECK(asked == 2);
      CHECK_THROWS_AS(model.predict(train, threads, at_second), Interrupted);
      CHECK_THROWS_AS(model.evaluate(train, threads, at_second), Interrupted);
      const auto never = [] { return false; };
      CHECK(same_bits(model.predict_proba(train, threads, never), model.predict_proba(train)));
    }
  }
}

TEST_CASE("what an observer throws passes on, and the model keeps the last whole epoch") {
  const Dataset train = ramps(24);
  Model stopped(train, small());
  stopped.fit(train, stop_after(2));
  Model model(train, small());
  FitObserver observer;
  observer.on_batch = [](const BatchProgress& batch) -> bool {
    if (batch.epoch == 3) throw std::runtime_error("mine");
    return true;
  };
  CHECK_THROWS_WITH(model.fit(train, observer), "mine");
  CHECK(model.weights_hash() == stopped.weights_hash());

  Model after_epoch(train, small());
  FitObserver by_epoch;
  by_epoch.on_epoch = [](const EpochResult& epoch) -> bool {
    if (epoch.epoch == 2) throw std::runtime_error("mine");
    return true;
  };
  CHECK_THROWS_WITH(after_epoch.fit(train, by_epoch), "mine");
  CHECK(after_epoch.weights_hash() == stopped.weights_hash());
}

// Fits until the rate is changed, by the schedule, to one that no weight survives.
TEST_CASE("a training that diverges keeps the last finite weights") {
  const Dataset train = ramps(24);
  Options options = small();
  options.schedule = LearningRateSchedule::step;
  options.decay = 1e300;
  options.decay_epochs = 2;
  options.clip_norm = 0;
  Model model(train, options);
  const FitResult result = model.fit(train);
  CHECK(result.status == FitStatus::diverged);
  CHECK(result.kept_epoch == 2);
  CHECK(result.history.size() == 3);
  Model expected(train, options);
  expected.fit(train, stop_after(2));
  CHECK(model.weights_hash() == expected.weights_hash());

  options.learning_rate = 1e300;
  Model hopeless(train, options);
  const std::uint64_t first = hopeless.weights_hash();
  CHECK(hopeless.fit(train).kept_epoch == 0);
  CHECK(hopeless.weights_hash() == first);
}

TEST_CASE("a model is saved and loaded with all that it needs") {
  const TemporaryDirectory directory;
  const auto path = directory / "model.safetensors";
  const Dataset train = ramps(24);
  Options options = small(2);
  options.normalize = NormalizationKind::series;
  Model model(train, options);
  model.fit(train);
  model.require_savable(path);
  CHECK_FALSE(std::filesystem::exists(path));
  model.save(path);
  const Model loaded = Model::load(path);
  CHECK(loaded.weights_hash() == model.weights_hash());
  CHECK(loaded.class_names() == model.class_names());
  CHECK(loaded.normalization() == model.normalization());
  CHECK(loaded.options().hidden == 8);
  CHECK(loaded.options().normalize == NormalizationKind::series);
  CHECK(same_bits(loaded.predict_proba(train), model.predict_proba(train)));
  CHECK_THROWS_AS(model.require_savable("/no/such/model"), ModelFileError);
  CHECK_THROWS_AS(model.save("/no/such/model"), ModelFileError);
  CHECK_THROWS_AS(Model::load("/no/such/model"), ModelFileError);
  const Model odd(model.parameters(), {}, {"a", "\xff"});
  CHECK_THROWS_WITH(odd.require_savable(path), ContainsSubstring("UTF-8"));
}

TEST_CASE("data that do not fit a model are refused in a sentence") {
  const Dataset train = ramps(8);
  Model model(train, small(1));
  Dataset wide(2, {"down", "up"});
  wide.add(std::vector<float>{1, 2}, 0);
  CHECK_THROWS_WITH(model.predict(wide), "2 channels, but the model takes 1");
  CHECK_THROWS_AS(model.fit(wide), std::invalid_argument);
  Dataset strange(1, {"sideways"});
  strange.add(std::vector<float>{1}, 0);
  CHECK_THROWS_WITH(model.evaluate(strange), ContainsSubstring("'sideways'"));
  CHECK_THROWS_WITH(model.require_fit(strange), ContainsSubstring("'sideways'"));
  CHECK_NOTHROW(model.predict(strange));
  CHECK_THROWS_WITH(model.fit(train, Dataset(1)), ContainsSubstring("no sequence"));
  Dataset unlabelled(1, {"down", "up"});
  unlabelled.add(std::vector<float>{1}, kNoLabel);
  CHECK_THROWS_WITH(model.evaluate(unlabelled), ContainsSubstring("sequence 0"));
  CHECK_THROWS_WITH(Model(unlabelled), ContainsSubstring("no label"));
  CHECK_THROWS_WITH(Model(strange), ContainsSubstring("at least two"));
  CHECK_THROWS_WITH(Model(Dataset(1, {"a", "b"})), ContainsSubstring("no sequence"));
  CHECK_THROWS_WITH(Model(train, {.hidden = 0}), ContainsSubstring("hidden"));
  CHECK_THROWS_AS(Model(Parameters(), {}, {}), std::invalid_argument);
  CHECK_THROWS_WITH(Model(model.parameters(), {}, {"one"}), ContainsSubstring("1 class names"));
}

}  // namespace
}  // namespace lockstep
