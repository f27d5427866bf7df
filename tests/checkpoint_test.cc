// Trainings that stop and go on: the same weights and history as if they never had.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "backend_scope.h"
#include "catch.h"
#include "floats.h"
#include "lockstep/rnn.h"
#include "networks.h"
#include "temporary_directory.h"

namespace lockstep {
namespace {

const Sizes kShape{2, 9, 3, "gru", 2};

Dataset training_data() {
  const Dataset same = equal_data(kShape, 23, 7);
  Dataset data(kShape.features, {"a", "b", "c"});
  for (std::size_t i = 0; i < same.size(); ++i) data.add(same.sequence(i), same.label(i));
  return data;
}

Options base() {
  Options options;
  options.cell = "gru";
  options.hidden = 9;
  options.layers = 2;
  options.epochs = 6;
  options.batch_size = 5;
  options.dropout = 0.2;
  options.threads = 1;
  return options;
}

struct Case {
  std::string name;
  Options options;
};

// Each has something of its own that a training must not forget.
std::vector<Case> cases() {
  std::vector<Case> list;
  list.push_back({"momentum", base()});
  Options options = base();
  options.optimizer = "adamw";
  options.ema = 0.8;
  options.schedule = LearningRateSchedule::one_cycle;
  options.warmup_epochs = 1.5;
  list.push_back({"adamw with an average", options});
  options = base();
  options.learning_rate = 0.5;
  options.validation = 0.3;
  options.patience = 2;
  list.push_back({"patience", options});
  options.schedule = LearningRateSchedule::plateau;
  options.decay_epochs = 1;
  options.patience = 0;
  list.push_back({"plateau", options});
  options = base();
  options.optimizer = "rmsprop";
  options.centered = true;
  options.momentum = 0.5;
  list.push_back({"rmsprop", options});
  return list;
}

void check_equal(const FitResult& found, const FitResult& expected) {
  CHECK(found.status == expected.status);
  CHECK(found.kept_epoch == expected.kept_epoch);
  REQUIRE(found.history.size() == expected.history.size());
  const auto equal = [](double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); };
  for (std::size_t i = 0; i < found.history.size(); ++i) {
    CAPTURE(i);
    const EpochResult& a = found.history[i];
    const EpochResult& b = expected.history[i];
    CHECK(a.epoch == b.epoch);
    CHECK(a.loss == b.loss);
    CHECK(a.accuracy == b.accuracy);
    CHECK(a.learning_rate == b.learning_rate);
    CHECK(a.timesteps == b.timesteps);
    CHECK(a.skipped == b.skipped);
    CHECK(a.failed_minibatch == b.failed_minibatch);
    CHECK(equal(a.validation_loss, b.validation_loss));
    CHECK(equal(a.validation_accuracy, b.validation_accuracy));
  }
}

TEST_CASE("a training that was stopped anywhere is resumed to the same weights") {
  const TemporaryDirectory directory;
  const auto path = directory / "checkpoint";
  const Dataset data = training_data();
  for (const Case& c : cases()) {
    Model whole(data, c.options);
    const FitResult expected = whole.fit(data);
    std::size_t stopped = 0;
    for (const std::size_t stop : {1u, 4u, 5u, 11u, 18u}) {
      CAPTURE(c.name, stop);
      Model first(data, c.options);
      std::size_t minibatches = 0;
      FitObserver observer;
      observer.checkpoints = {.path = path};
      observer.on_batch = [&](const BatchProgress&) { return ++minibatches < stop; };
      const FitResult part = first.fit(data, observer);
      if (part.status != FitStatus::stopped) continue;
      ++stopped;
      Model second = Model::resume(path);
      CHECK(second.options() == c.options);
      check_equal(second.fit(data), expected);
      CHECK(second.weights_hash() == whole.weights_hash());
    }
    CHECK(stopped >= 3);
  }
}

TEST_CASE("a training that was interrupted anywhere is resumed to the same weights") {
  const TemporaryDirectory directory;
  const auto path = directory / "checkpoint";
  const Dataset data = training_data();
  for (const Case& c : cases()) {
    Model whole(data, c.options);
    const FitResult expected = whole.fit(data);
    std::size_t stopped = 0;
    for (const std::size_t stop : {1u, 2u, 4u, 5u, 6u, 7u, 8u, 11u, 18u}) {
      CAPTURE(c.name, stop);
      Model first(data, c.options);
      std::size_t asked = 0;
      FitObserver observer;
      observer.checkpoints = {.path = path};
      observer.is_interrupted = [&] { return ++asked >= stop; };
      const FitResult part = first.fit(data, observer);
      if (part.status != FitStatus::stopped) continue;
      ++stopped;
      Model second = Model::resume(path);
      FitObserver again;
      again.is_interrupted = [] { return true; };
      CHECK(second.fit(data, again).status == FitStatus::stopped);
      check_equal(second.fit(data), expected);
      CHECK(second.weights_hash() == whole.weights_hash());
    }
    CHECK(stopped >= 3);
  }
}

// A relu network overflows on a sequence of such numbers.
TEST_CASE("no checkpoint leads past what was not finite") {
  const TemporaryDirectory directory;
  const auto path = directory / "checkpoint";
  Dataset data(1, {"a", "b"});
  for (std::size_t i = 0; i < 12; ++i) {
    data.add(std::vector<float>(4, i == 5 ? 3e38f : 1.0f), static_cast<int>(i % 2));
  }
  for (const OnNan on_nan : {OnNan::stop, OnNan::skip}) {
    Options options;
    options.cell = "relu";
    options.hidden = 6;
    options.epochs = 2;
    options.batch_size = 4;
    options.shuffle = false;
    options.normalize = NormalizationKind::none;
    options.init = Initializer::gaussian;
    options.sigma = 5;
    options.on_nan = on_nan;
    Model whole(data, options);
    const FitResult expected = whole.fit(data);
    CHECK((expected.status == FitStatus::diverged) == (on_nan == OnNan::stop));
    Model first(data, options);
    FitObserver observer;
    observer.checkpoints = {.path = path, .every_seconds = 1e-9};
    first.fit(data, observer);
    Model second = Model::resume(path);
    check_equal(second.fit(data), expected);
    CHECK(second.weights_hash() == whole.weights_hash());
  }
}

TEST_CASE("a trainer continues where another was") {
  const Dataset data = training_data();
  Options options = base();
  options.optimizer = "adam";
  Parameters whole = random_network(kShape);
  Trainer trainer(whole, options);
  trainer.run_epoch(data);
  trainer.run_epoch(data);
  Parameters first = random_network(kShape);
  Trainer before(first, options);
  before.run_epoch(data);
  Trainer after(first, options);
  after.set_state(before.state());
  CHECK(after.run_epoch(data).epoch == 2);
  CHECK(first == whole);
  TrainerState other = before.state();
  other.slots.pop_back();
  CHECK_THROWS_AS(after.set_state(other), std::invalid_argument);
}

TEST_CASE("every checkpoint of a training leads to its weights, on any threads and backend") {
  const TemporaryDirectory directory;
  const Dataset data = training_data();
  const std::vector<std::string> backends = fused_backends();
  for (const Case& c : cases()) {
    Options options = c.options;
    options.epochs = 3;
    Model whole(data, options);
    const FitResult expected = whole.fit(data);
    std::vector<std::filesystem::path> copies;
    Model watched(data, options);
    FitObserver observer;
    observer.checkpoints = {
        .path = directory / "checkpoint", .every_epochs = 2, .every_seconds = 1e-9};
    const auto copy = [&] {
      const auto& path = observer.checkpoints->path;
      if (!std::filesystem::exists(path)) return true;
      copies.push_back(directory / (c.name + std::to_string(copies.size())));
      std::filesystem::copy_file(path, copies.back());
      return true;
    };
    observer.on_batch = [&](const BatchProgress&) { return copy(); };
    observer.on_epoch = [&](const EpochResult&) { return copy(); };
    watched.fit(data, observer);
    copy();
    CHECK(watched.weights_hash() == whole.weights_hash());
    REQUIRE(copies.size() > 10);
    for (std::size_t i = 0; i < copies.size(); ++i) {
      CAPTURE(c.name, i);
      std::optional<BackendScope> scope;
      if (!backends.empty() && active_backend().fused) scope.emplace(backends[i % backends.size()]);
      Model resumed = Model::resume(copies[i]);
      Options now = resumed.options();
      now.threads = static_cast<int>(1 + i % 3);
      resumed.set_options(now);
      check_equal(resumed.fit(data), expected);
      CHECK(resumed.weights_hash() == whole.weights_hash());
    }
  }
}

TEST_CASE("a finished training continues for more epochs") {
  const TemporaryDirectory directory;
  const auto path = directory / "checkpoint";
  const Dataset data = training_data();
  Options options = base();
  options.schedule = LearningRateSchedule::constant;
  options.epochs = 3;
  Model model(data, options);
  FitObserver observer;
  observer.checkpoints = {.path = path};
  model.fit(data, observer);
  Model same = Model::resume(path);
  CHECK(same.fit(data).history.size() == 3);
  CHECK(same.weights_hash() == model.weights_hash());
  options.epochs = 5;
  Model more = Model::resume(path);
  more.set_options(options);
  CHECK(more.fit(data).history.size() == 5);
  Model whole(data, options);
  whole.fit(data);
  CHECK(more.weights_hash() == whole.weights_hash());
  // Once it has gone on, it is a model as all others.
  CHECK(more.fit(data).history.front().epoch == 1);
}

TEST_CASE("the checkpoint before is kept beside the last") {
  const TemporaryDirectory directory;
  const auto path = directory / "checkpoint";
  const Dataset data = training_data();
  Model model(data, base());
  FitObserver observer;
  observer.checkpoints = {.path = path, .every_epochs = 2};
  std::size_t epochs = 0;
  observer.on_epoch = [&](const EpochResult& e) { return (epochs = e.epoch) < 4; };
  model.fit(data, observer);
  const auto epochs_of = [&](const std::filesystem::path& of) {
    Model resumed = Model::resume(of);
    FitObserver stop;
    std::size_t first = 0;
    stop.on_epoch = [&](const EpochResult& e) {
      first = e.epoch;
      return false;
    };
    resumed.fit(data, stop);
    return first - 1;
  };
  CHECK(epochs_of(path) == 4);
  CHECK(epochs_of(path.string() + ".previous") == 2);
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(path.parent_path())) {
    files += entry.exists() ? 1 : 0;
  }
  CHECK(files == 2);
}

TEST_CASE("a training does not go on with other data or options") {
  const TemporaryDirectory directory;
  const auto path = directory / "checkpoint";
  const Dataset data = training_data();
  Model model(data, base());
  FitObserver observer;
  observer.checkpoints = {.path = path};
  observer.on_batch = [](const BatchProgress&) { return false; };
  model.fit(data, observer);
  Model resumed = Model::resume(path);
  Options options = base();
  options.batch_size = 6;
  resumed.set_options(options);
  CHECK_THROWS_WITH(resumed.fit(data), ContainsSubstring("batch_size") &&
                                           ContainsSubstring("'5'") && ContainsSubstring("'6'"));
  resumed.set_options(base());
  Dataset other = data;
  other.writable_sequence(3)[0] += 1;
  CHECK_THROWS_WITH(resumed.fit(other), ContainsSubstring("the data are not those"));
  CHECK_THROWS_WITH(resumed.fit(data, data), ContainsSubstring("the data are not those"));
  if (active_backend().fused) {
    const BackendScope scope("reference");
    CHECK_THROWS_WITH(resumed.fit(data), ContainsSubstring("rounds otherwise"));
  }
  CHECK(resumed.fit(data).history.size() == 6);
}

// Resumes a file that may be broken; throws only what neither contract has.
void resumed_or_refused(const std::filesystem::path& path, const Dataset& data) {
  try {
    Model resumed = Model::resume(path);
    FitObserver stop;
    stop.on_batch = [](const BatchProgress&) { return false; };
    static_cast<void>(resumed.fit(data, stop));
  } catch (const ModelFileError&) {
  } catch (const InvalidArgument&) {
  }
}

TEST_CASE("what is no checkpoint is refused, and a checkpoint is no model") {
  const TemporaryDirectory directory;
  const auto path = directory / "checkpoint";
  const auto model_path = directory / "model";
  const Dataset data = training_data();
  Model model(data, base());
  FitObserver observer;
  observer.checkpoints = {.path = path, .every_epochs = 1};
  observer.on_epoch = [](const EpochResult&) { return false; };
  model.fit(data, observer);
  model.save(model_path);
  CHECK_THROWS_WITH(Model::resume(model_path), ContainsSubstring("no checkpoint"));
  CHECK_THROWS_WITH(Model::resume(directory / "none"), ContainsSubstring("cannot resume"));
  CHECK_THROWS_WITH(Model::load(path), ContainsSubstring("--resume"));
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  // Cut off it is refused; with another byte at places all over the file, it is or means something.
  for (std::size_t size = 0; size < bytes.size(); size += 1 + bytes.size() / 50) {
    const auto broken = directory.write("broken", bytes.substr(0, size));
    CHECK_THROWS_AS(Model::resume(broken), ModelFileError);
  }
  for (std::size_t at = 0; at < bytes.size(); at += 1 + bytes.size() / 500) {
    std::string changed = bytes;
    changed[at] = static_cast<char>(changed[at] ^ 0x15);
    const auto broken = directory.write("broken", changed);
    CHECK_NOTHROW(resumed_or_refused(broken, data));
  }
}

// As `bytes`, but for the number behind the first `"name":"` of the state.
std::string with_number(std::string bytes, const std::string& name, const std::string& number) {
  const std::string key = "\"" + name + "\":\"";
  const std::size_t begin = bytes.find(key) + key.size();
  const std::size_t end = bytes.find('"', begin);
  REQUIRE(begin > key.size());
  // The text keeps its length, so the tensors keep their places.
  REQUIRE(number.size() <= end - begin);
  return bytes.replace(begin, end - begin, std::string(end - begin - number.size(), '0') + number);
}

TEST_CASE("a checkpoint whose numbers contradict each other is refused or harmless") {
  const TemporaryDirectory directory;
  const auto path = directory / "checkpoint";
  const Dataset data = training_data();
  Model model(data, base());
  FitObserver observer;
  observer.checkpoints = {.path = path};
  std::size_t minibatches = 0;
  observer.on_batch = [&](const BatchProgress&) { return ++minibatches < 8; };
  model.fit(data, observer);
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  for (const char* name : {"minibatches", "pass_minibatches", "pass_sequences", "pass_weight",
                           "updates", "last_epoch", "epoch", "loss", "failed_minibatch"}) {
    for (const char* number : {"0", "9", "-"}) {
      CAPTURE(name, number);
      const auto changed = directory.write("changed", with_number(bytes, name, number));
      CHECK_NOTHROW(resumed_or_refused(changed, data));
    }
  }
}

TEST_CASE("a resume that failed is repeated at the next call") {
  const TemporaryDirectory directory;
  const auto path = directory / "checkpoint";
  const Dataset data = training_data();
  Model whole(data, base());
  whole.fit(data);
  Model first(data, base());
  FitObserver observer;
  observer.checkpoints = {.path = path};
  std::size_t minibatches = 0;
  observer.on_batch = [&](const BatchProgress&) { return ++minibatches < 8; };
  first.fit(data, observer);
  Model second = Model::resume(path);
  FitObserver failing;
  failing.checkpoints = {.path = directory / "no" / "folder", .every_seconds = 1e-9};
  CHECK_THROWS_AS(second.fit(data, failing), ModelFileError);
  second.fit(data);
  CHECK(second.weights_hash() == whole.weights_hash());
}

TEST_CASE("a checkpoint that cannot be written ends the training with what it had kept") {
  const TemporaryDirectory directory;
  const Dataset data = training_data();
  Model model(data, base());
  const std::uint64_t first = model.weights_hash();
  FitObserver observer;
  observer.checkpoints = {.path = directory / "no" / "such" / "folder", .every_epochs = 2};
  CHECK_THROWS_WITH(model.fit(data, observer), ContainsSubstring("cannot write checkpoint"));
  Model expected(data, base());
  std::size_t epochs = 0;
  FitObserver stop;
  stop.on_epoch = [&](const EpochResult&) { return ++epochs < 2; };
  expected.fit(data, stop);
  CHECK(model.weights_hash() == expected.weights_hash());
  CHECK_FALSE(model.weights_hash() == first);
}

}  // namespace
}  // namespace lockstep
