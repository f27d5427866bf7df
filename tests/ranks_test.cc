// Several ranks are threads here: the same code as over a network.
#include <algorithm>
#include <array>
#include <cfenv>
#include <cmath>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "catch.h"
#include "lockstep/rnn/model.h"
#include "lockstep/rnn/trainer.h"
#include "networks.h"
#include "ranks/gather.h"
#include "ranks/gradient_sum.h"
#include "ranks/slices.h"
#include "temporary_directory.h"
#include "thread_ranks.h"

namespace lockstep {
namespace {

std::string text_of(const std::exception_ptr& failure) {
  try {
    if (failure != nullptr) std::rethrow_exception(failure);
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

// Of unequal length.
Dataset ragged_data(std::size_t channels, std::size_t classes, std::size_t size,
                    std::size_t steps) {
  std::vector<std::string> names;
  for (std::size_t c = 0; c < classes; ++c) names.push_back("class " + std::to_string(c));
  Dataset data(channels, names);
  for (std::size_t i = 0; i < size; ++i) {
    data.add(normal_floats((1 + (i * 7 + 3) % steps) * channels, i), static_cast<int>(i % classes));
  }
  return data;
}

struct Trained {
  std::uint64_t hash = 0;
  std::uint64_t averaged = 0;
  std::vector<double> losses;
  bool operator==(const Trained&) const = default;
};

Trained train_on(Ranks* ranks, const Sizes& shape, const Dataset& data, const Options& options) {
  Parameters model = random_network(shape);
  Trainer trainer(model, options, ranks);
  Trained result;
  for (std::size_t epoch = 0; epoch < options.epochs; ++epoch) {
    result.losses.push_back(trainer.run_epoch(data).loss);
  }
  result.hash = weights_hash(model);
  result.averaged = weights_hash(trainer.averaged());
  return result;
}

void check_same_on_ranks(const Sizes& shape, const Dataset& data, Options options,
                         const std::vector<int>& sizes) {
  options.threads = 1;
  Options of_one = options;
  of_one.memory = 0;
  const Trained alone = train_on(nullptr, shape, data, of_one);
  CHECK(std::isfinite(alone.losses.back()));
  for (const int size : sizes) {
    std::vector<Trained> trained(static_cast<std::size_t>(size));
    require_well(on_ranks(size, [&](Ranks& ranks) {
      Options own = options;
      own.threads = 1 + ranks.rank() % 2;
      trained[static_cast<std::size_t>(ranks.rank())] = train_on(&ranks, shape, data, own);
    }));
    for (const Trained& each : trained) {
      CAPTURE(size, shape.cell, options.batch_size, options.accumulate, options.leaf_rows);
      CHECK(each == alone);
    }
  }
}

Options short_training() {
  Options options;
  options.epochs = 2;
  options.batch_size = 70;
  options.optimizer = "adamw";
  options.weight_decay = 0.02;
  options.ema = 0.9;
  options.clip_norm = 0.01;
  options.dropout = 0.25;
  return options;
}

}  // namespace

TEST_CASE("places of ranks are digits in reverse where they are a power of two") {
  CHECK(place_of(1, 8) == 4);
  CHECK(place_of(6, 8) == 3);
  CHECK(place_of(5, 6) == 5);
  for (const int size : {1, 2, 3, 4, 6, 8, 64}) {
    std::set<std::size_t> places;
    for (int rank = 0; rank < size; ++rank) {
      places.insert(place_of(rank, size));
      CHECK(rank_at(place_of(rank, size), size) == rank);
    }
    CHECK(places.size() == static_cast<std::size_t>(size));
    CHECK(*places.rbegin() == static_cast<std::size_t>(size) - 1);
  }
}

TEST_CASE("every rank gathers the parts of all, empty ones too") {
  for (int size = 1; size <= 9; ++size) {
    require_well(on_ranks(size, [&](Ranks& ranks) {
      // The part at place p has p % 3 bytes of the value p.
      std::vector<std::size_t> bounds = {0};
      std::vector<std::byte> expected;
      for (std::size_t p = 0; p < static_cast<std::size_t>(size); ++p) {
        bounds.push_back(bounds.back() + p % 3);
        expected.resize(bounds.back(), static_cast<std::byte>(p));
      }
      std::vector<std::byte> all(expected.size(), std::byte{255});
      const std::size_t place = place_of(ranks.rank(), size);
      std::fill(all.begin() + static_cast<std::ptrdiff_t>(bounds[place]),
                all.begin() + static_cast<std::ptrdiff_t>(bounds[place + 1]),
                static_cast<std::byte>(place));
      Gather gather(ranks);
      gather(all, bounds);
      if (all != expected) throw std::runtime_error("gathered something else");
      const std::vector<std::string> texts =
          gather_texts(ranks, std::string(static_cast<std::size_t>(ranks.rank()), 'x'));
      for (std::size_t rank = 0; rank < texts.size(); ++rank) {
        if (texts[rank] != std::string(rank, 'x')) throw std::runtime_error("another text");
      }
      if (gather_bits(&ranks, std::uint64_t{1} << ranks.rank()) != (std::uint64_t{1} << size) - 1) {
        throw std::runtime_error("other bits");
      }
    }));
  }
  CHECK(gather_bits(nullptr, 5) == 5);
}

TEST_CASE("subtrees are the largest of aligned powers of two") {
  CHECK(first_subtree({0, 8}, 100) == Range{0, 8});
  CHECK(first_subtree({0, 7}, 100) == Range{0, 4});
  CHECK(first_subtree({3, 8}, 100) == Range{3, 4});
  CHECK(first_subtree({4, 16}, 100) == Range{4, 8});
  CHECK(first_subtree({0, 8}, 2) == Range{0, 2});
  CHECK(are_halves({0, 4}, {4, 8}));
  CHECK_FALSE(are_halves({4, 8}, {8, 12}));
  CHECK_FALSE(are_halves({0, 4}, {4, 6}));
}

TEST_CASE("any number of ranks trains to the bits of one, every cell") {
  const Dataset data = ragged_data(3, 3, 150, 9);
  for (const char* cell : {"tanh", "gru", "lstm"}) {
    const Sizes shape{.features = 3, .hidden = 20, .classes = 3, .cell = cell, .layers = 2};
    check_same_on_ranks(shape, data, short_training(), {1, 2, 3, 4, 5, 8});
  }
}

TEST_CASE("ranks share leaves of minibatches of any size") {
  const Sizes shape{.features = 2, .hidden = 9, .classes = 3, .cell = "gru"};
  Options options = short_training();
  SECTION("fewer leaves than ranks, and a last minibatch of one sequence") {
    options.batch_size = 20;
    check_same_on_ranks(shape, ragged_data(2, 3, 41, 12), options, {2, 3, 4, 8});
  }
  SECTION("one sequence") {
    check_same_on_ranks(shape, ragged_data(2, 3, 3, 12).subset(std::vector<std::size_t>{0}),
                        options, {2, 3});
  }
  SECTION("in parts") {
    options.batch_size = 16;
    options.accumulate = 5;
    check_same_on_ranks(shape, ragged_data(2, 3, 200, 7), options, {2, 3, 4, 5});
  }
  SECTION("smaller leaves") {
    options.leaf_rows = 2;
    check_same_on_ranks(shape, ragged_data(2, 3, 100, 7), options, {2, 3, 6});
  }
  SECTION("with states of which some are computed twice") {
    const Dataset data = ragged_data(2, 3, 40, 150);
    options.memory = training_workspace_bytes(shape, options, data.size(), 150) / 2;
    check_same_on_ranks(shape, data, options, {2, 3});
  }
}

TEST_CASE("more ranks than rows of weights leave some without a slice") {
  const Sizes shape{.features = 1, .hidden = 1, .classes = 2};
  Options options = short_training();
  options.leaf_rows = 1;
  check_same_on_ranks(shape, ragged_data(1, 2, 60, 4), options, {8, 13});
}

TEST_CASE("large layers and bidirectional stacks train on ranks to the same bits") {
  Options options = short_training();
  options.leaf_rows = 8;
  check_same_on_ranks({.features = 140, .hidden = 420, .classes = 5}, ragged_data(140, 5, 37, 6),
                      options, {2, 4});
  check_same_on_ranks({.features = 5,
                       .hidden = 20,
                       .classes = 4,
                       .cell = "lstm",
                       .layers = 2,
                       .bidirectional = true,
                       .pool = Pooling::max},
                      ragged_data(5, 4, 60, 12), options, {2, 3});
}

namespace {

// Notes whether a thread of its own has moved bytes.
class WatchedRank : public ThreadRank {
 public:
  using ThreadRank::ThreadRank;
  [[nodiscard]] bool was_elsewhere() const { return was_elsewhere_; }

 private:
  void before_move() override {
    if (std::this_thread::get_id() != caller_) was_elsewhere_ = true;
  }

  std::thread::id caller_ = std::this_thread::get_id();
  bool was_elsewhere_ = false;
};

// Two layers whose gradients are large enough to travel one after the other, for sequences long
// enough.
constexpr Sizes kTwoSections{
    .features = 50, .hidden = 130, .classes = 5, .cell = "gru", .layers = 2};

}  // namespace

TEST_CASE("gradients of upper layers travel early, and the bits are the same") {
  Options options = short_training();
  options.leaf_rows = 8;
  options.clip_norm = 1;
  const Dataset data = ragged_data(50, 5, 37, 70);
  REQUIRE(Slices(kTwoSections, 2).section_count() == 2);
  SECTION("ranks that halve and others, fewer leaves than ranks, an uneven end") {
    check_same_on_ranks(kTwoSections, data, options, {2, 3, 4, 16});
  }
  SECTION("in parts, of which only ranks with one begin early") {
    options.batch_size = 16;
    options.accumulate = 3;
    check_same_on_ranks(kTwoSections, data, options, {2, 3, 8});
  }
  SECTION("bidirectional, and three layers") {
    Sizes shape = kTwoSections;
    shape.bidirectional = true;
    check_same_on_ranks(shape, data, options, {2});
    shape = kTwoSections;
    shape.layers = 3;
    REQUIRE(Slices(shape, 2).section_count() == 3);
    check_same_on_ranks(shape, data, options, {2, 3});
  }
  SECTION("with states of which some are computed twice") {
    const Dataset longer = ragged_data(50, 5, 24, 200);
    options.epochs = 1;
    const auto bytes_of_rank = [&] {
      std::size_t bytes = 0;
      require_well(on_ranks(2, [&](Ranks& ranks) {
        Parameters model = random_network(kTwoSections);
        Trainer trainer(model, options, &ranks);
        trainer.run_epoch(longer);
        if (ranks.rank() == 0) bytes = trainer.workspace_bytes();
      }));
      return bytes;
    };
    const std::size_t undivided = bytes_of_rank();
    options.memory = undivided * 4 / 5;
    CHECK(bytes_of_rank() < undivided);
    check_same_on_ranks(kTwoSections, longer, options, {2});
  }
}

TEST_CASE("a thread of its own moves bytes only of ranks that may be called from it") {
  Options options = short_training();
  options.leaf_rows = 8;
  options.threads = 2;
  const Dataset data = ragged_data(50, 5, 37, 70);
  for (const bool may : {false, true}) {
    std::array<Trained, 2> trained;
    require_well(on_ranks(2, [&](int rank, Mail& mail) {
      WatchedRank ranks(rank, 2, mail, may);
      trained[static_cast<std::size_t>(rank)] = train_on(&ranks, kTwoSections, data, options);
      if (ranks.was_elsewhere() != may) throw std::runtime_error("not where it should be");
    }));
    CHECK(trained[0] == trained[1]);
  }
}

// A thread of its own lives longer than a call of the trainer.
TEST_CASE("gradients that travel early are added in the floating-point mode of each call") {
  Options options = short_training();
  options.leaf_rows = 8;
  options.threads = 1;
  const Dataset data = ragged_data(50, 5, 37, 70);
  const auto hash_with = [&](Ranks* ranks) {
    Parameters model = random_network(kTwoSections);
    Trainer trainer(model, options, ranks);
    trainer.run_epoch(data);
    const int before = std::fegetround();
    std::fesetround(FE_UPWARD);
    trainer.run_epoch(data);
    std::fesetround(before);
    return weights_hash(model);
  };
  const std::uint64_t alone = hash_with(nullptr);
  std::vector<std::uint64_t> hashes(2);
  require_well(on_ranks(2, [&](Ranks& ranks) {
    hashes[static_cast<std::size_t>(ranks.rank())] = hash_with(&ranks);
  }));
  CHECK(hashes == std::vector{alone, alone});
}

TEST_CASE("a rank that ends or fails on the way back is no trap for the others") {
  Options options = short_training();
  options.leaf_rows = 8;
  options.epochs = 50;
  const Dataset data = ragged_data(50, 5, 37, 70);
  SECTION("one that is interrupted between two leaves") {
    std::vector<std::uint64_t> hashes(2);
    require_well(on_ranks(2, [&](Ranks& ranks) {
      Parameters model = random_network(kTwoSections);
      Options own = options;
      own.threads = 1 + ranks.rank();
      Trainer trainer(model, own, &ranks);
      int asked = 0;
      const auto is_interrupted = [&] { return ranks.rank() == 1 && ++asked == 8; };
      while (!trainer.was_stopped()) trainer.run_epoch(data, {}, is_interrupted);
      hashes[static_cast<std::size_t>(ranks.rank())] = weights_hash(model);
    }));
    CHECK(hashes[0] == hashes[1]);
  }
  SECTION("one that does not answer, heard of on the thread that moves bytes early") {
    bool was_elsewhere = false;
    const auto failures = on_ranks(2, [&](int rank, Mail& mail) {
      if (rank == 1) return mail.end();
      WatchedRank ranks(rank, 2, mail);
      Parameters model = random_network(kTwoSections);
      Trainer trainer(model, options, &ranks);
      try {
        trainer.run_epoch(data);
      } catch (const RanksError&) {
        was_elsewhere = ranks.was_elsewhere();
        throw;
      }
    });
    CHECK_THAT(text_of(failures[0]), ContainsSubstring("rank 1 does not answer"));
    CHECK(failures[1] == nullptr);
    CHECK(was_elsewhere);
  }
}

// Per rank and step: half, a quarter, ... of the gradient out, as much of the weights, and once the
// squares of rows, the totals of leaves and the notices.
TEST_CASE("bytes and messages of a step are those of the formula") {
  const Sizes shape{.features = 4, .hidden = 32, .classes = 4};
  const Dataset data = ragged_data(4, 4, 64, 5);
  Options options = short_training();
  options.batch_size = 64;
  options.ema = 0;
  Parameters model = random_network(shape);
  const std::size_t parameters = model.values().size();
  std::size_t rows = 0;
  for (const Tensor& tensor : model.tensors()) rows += tensor.rows;
  for (const int size : {2, 4, 8}) {
    std::vector<Ranks::Traffic> sent(static_cast<std::size_t>(size));
    require_well(on_ranks(size, [&](Ranks& ranks) {
      Parameters own = random_network(shape);
      Trainer trainer(own, options, &ranks);
      trainer.run_epoch(data);
      const Ranks::Traffic before = ranks.sent();
      trainer.run_epoch(data);
      sent[static_cast<std::size_t>(ranks.rank())] = {ranks.sent().messages - before.messages,
                                                      ranks.sent().bytes - before.bytes};
    }));
    const auto ranks = static_cast<std::uint64_t>(size);
    std::uint64_t all = 0;
    const auto rounds = static_cast<std::uint64_t>(std::log2(size));
    for (const Ranks::Traffic& each : sent) {
      all += each.bytes;
      CHECK(each.messages == 4 * rounds);  // the fourth: the notices at the end of the pass
    }
    const std::uint64_t of_weights = 2 * parameters * (ranks - 1) * sizeof(float);
    const std::uint64_t of_rows = rows * (ranks - 1) * sizeof(double);
    const std::uint64_t of_leaves = 8 * kLeafNumbers * (ranks - 1) * sizeof(double);
    const std::uint64_t of_notices = 2 * ranks * (ranks - 1) * sizeof(std::uint64_t);
    CHECK(all == of_weights + of_rows + of_leaves + of_notices);
  }
}

namespace {

Options options_of_fit() {
  Options options;
  options.cell = "gru";
  options.hidden = 12;
  options.epochs = 6;
  options.batch_size = 32;
  options.validation = 0.25;
  options.patience = 3;
  options.seed = 4;
  options.threads = 1;
  return options;
}

struct Fitted {
  std::uint64_t hash = 0;
  std::size_t kept_epoch = 0;
  double validation_loss = 0;
  double accuracy = 0;
  std::vector<float> outputs;
  bool operator==(const Fitted&) const = default;
};

Fitted result_of(Model& model, const FitResult& result, const Dataset& data) {
  return {model.weights_hash(), result.kept_epoch, result.history.back().validation_loss,
          model.evaluate(data).accuracy, model.predict_proba(data)};
}

}  // namespace

TEST_CASE("a model fits, validates and predicts on ranks as alone") {
  const Dataset data = ragged_data(2, 3, 120, 9);
  Model alone(data, options_of_fit());
  const FitResult result = alone.fit(data);
  const Fitted expected = result_of(alone, result, data);
  for (const int size : {2, 3, 4}) {
    std::vector<Fitted> fitted(static_cast<std::size_t>(size));
    require_well(on_ranks(size, [&](Ranks& ranks) {
      Model model(data, options_of_fit());
      model.set_ranks(&ranks);
      const FitResult own = model.fit(data);
      fitted[static_cast<std::size_t>(ranks.rank())] = result_of(model, own, data);
    }));
    for (const Fitted& each : fitted) CHECK(each == expected);
  }
}

TEST_CASE("heads of timesteps predict on ranks as alone") {
  Dataset data(2, TargetKind::step_values, {"level"});
  for (std::size_t i = 0; i < 23; ++i) {
    const std::size_t steps = 1 + i % 5;
    data.add_values(normal_floats(steps * 2, i), normal_floats(steps, 100 + i));
  }
  Options options = options_of_fit();
  options.patience = 0;
  options.validation = 0;
  Model alone(data, options);
  alone.fit(data);
  const std::vector<float> expected = alone.predict_proba(data);
  CHECK(expected.size() == data.total_timesteps());
  require_well(on_ranks(4, [&](Ranks& ranks) {
    Model model(data, options);
    model.set_ranks(&ranks);
    model.fit(data);
    if (model.predict_proba(data) != expected) throw std::runtime_error("other outputs");
  }));
}

TEST_CASE("a training that ranks have checkpointed is resumed by another number of them") {
  const Dataset data = ragged_data(2, 3, 120, 9);
  Options options = options_of_fit();
  options.optimizer = "adamw";
  options.ema = 0.9;
  options.patience = 0;
  Model alone(data, options);
  alone.fit(data);
  const TemporaryDirectory directory;
  for (const auto& [before, after] :
       {std::pair{3, 2}, std::pair{4, 1}, std::pair{1, 3}, std::pair{2, 8}}) {
    CAPTURE(before, after);
    const auto path = directory / ("checkpoint" + std::to_string(before));
    require_well(on_ranks(before, [&](Ranks& ranks) {
      Model model(data, options);
      model.set_ranks(&ranks);
      std::size_t batches = 0;
      FitObserver observer;
      observer.checkpoints = Checkpoints{.path = path, .every_epochs = 0, .every_seconds = 0};
      // In the middle of an epoch, on the last rank alone.
      observer.on_batch = [&](const BatchProgress&) {
        return ++batches < 8 || ranks.rank() + 1 < ranks.size();
      };
      if (model.fit(data, observer).status != FitStatus::stopped) {
        throw std::runtime_error("was not stopped");
      }
    }));
    std::vector<std::uint64_t> hashes(static_cast<std::size_t>(after));
    require_well(on_ranks(after, [&](Ranks& ranks) {
      Model model = Model::resume(path);
      model.set_ranks(&ranks);
      model.fit(data);
      hashes[static_cast<std::size_t>(ranks.rank())] = model.weights_hash();
    }));
    for (const std::uint64_t hash : hashes) CHECK(hash == alone.weights_hash());
  }
}

TEST_CASE("checkpoints by time are written by rank 0, and all continue to the same bits") {
  const Dataset data = ragged_data(2, 3, 120, 9);
  Options options = options_of_fit();
  options.patience = 0;
  Model alone(data, options);
  alone.fit(data);
  const TemporaryDirectory directory;
  require_well(on_ranks(3, [&](Ranks& ranks) {
    Model model(data, options);
    model.set_ranks(&ranks);
    FitObserver observer;
    observer.checkpoints =
        Checkpoints{.path = directory / ("checkpoint" + std::to_string(ranks.rank())),
                    .every_epochs = 0,
                    .every_seconds = 1e-9};
    model.fit(data, observer);
    if (model.weights_hash() != alone.weights_hash()) throw std::runtime_error("another hash");
  }));
  CHECK(std::filesystem::exists(directory / "checkpoint0"));
  CHECK_FALSE(std::filesystem::exists(directory / "checkpoint1"));
  CHECK_FALSE(std::filesystem::exists(directory / "checkpoint2"));
}

TEST_CASE("what one rank wants ends the training of all after the same minibatch") {
  const Dataset data = ragged_data(2, 3, 120, 9);
  Options options = options_of_fit();
  options.validation = 0;
  options.patience = 0;
  const auto hashes_of = [&](const std::function<FitObserver(Ranks&, int&)>& observer) {
    std::set<std::uint64_t> hashes;
    std::set<FitStatus> states;
    std::mutex mutex;
    require_well(on_ranks(3, [&](Ranks& ranks) {
      Model model(data, options);
      model.set_ranks(&ranks);
      int batches = 0;
      const FitResult result = model.fit(data, observer(ranks, batches));
      const std::lock_guard lock(mutex);
      states.insert(result.status);
      hashes.insert(model.weights_hash());
    }));
    CHECK(states == std::set{FitStatus::stopped});
    return hashes;
  };
  const auto stopping_after = [](int minibatch) {
    return [minibatch](Ranks& ranks, int& batches) {
      FitObserver observer;
      observer.on_batch = [&ranks, &batches, minibatch](const BatchProgress&) {
        return ++batches != minibatch || ranks.rank() != 1;
      };
      return observer;
    };
  };
  Model alone(data, options);
  int batches = 0;
  FitObserver observer;
  observer.on_batch = [&](const BatchProgress&) { return ++batches != 6; };
  alone.fit(data, observer);
  CHECK(hashes_of(stopping_after(6)) == std::set{alone.weights_hash()});
  SECTION("at the end of a pass") {
    Model after_pass(data, options);
    batches = 0;
    observer.on_batch = [&](const BatchProgress&) { return ++batches != 8; };
    after_pass.fit(data, observer);
    CHECK(hashes_of(stopping_after(8)) == std::set{after_pass.weights_hash()});
  }
  SECTION("by on_epoch") {
    CHECK(hashes_of([](Ranks& ranks, int&) {
            FitObserver own;
            own.on_epoch = [&ranks](const EpochResult&) { return ranks.rank() != 2; };
            return own;
          }).size() == 1);
  }
  SECTION("by an interruption") {
    CHECK(hashes_of([](Ranks& ranks, int& asked) {
            FitObserver own;
            own.is_interrupted = [&ranks, &asked] { return ranks.rank() == 2 && ++asked > 9; };
            return own;
          }).size() == 1);
  }
}

TEST_CASE("what a rank throws ends the training of all") {
  const Dataset data = ragged_data(2, 3, 120, 9);
  Options options = options_of_fit();
  options.patience = 0;
  const auto failures_with = [&](const std::function<FitObserver(Ranks&)>& observer) {
    std::vector<std::string> texts;
    for (const auto& failure : on_ranks(3, [&](Ranks& ranks) {
           Model model(data, options);
           model.set_ranks(&ranks);
           model.fit(data, observer(ranks));
         })) {
      texts.push_back(text_of(failure));
    }
    return texts;
  };
  const std::vector<std::string> expected = {"another rank has failed", "out of paper",
                                             "another rank has failed"};
  const auto fails_on_rank_1 = [](Ranks& ranks) {
    if (ranks.rank() == 1) throw std::runtime_error("out of paper");
    return true;
  };
  SECTION("in a pass") {
    CHECK(failures_with([&](Ranks& ranks) {
            FitObserver observer;
            observer.on_batch = [&](const BatchProgress&) { return fails_on_rank_1(ranks); };
            return observer;
          }) == expected);
  }
  SECTION("at the end of a pass") {
    CHECK(failures_with([&](Ranks& ranks) {
            FitObserver observer;
            observer.on_batch = [&](const BatchProgress& batch) {
              return batch.samples_done < batch.samples || fails_on_rank_1(ranks);
            };
            return observer;
          }) == expected);
  }
  SECTION("behind a pass") {
    CHECK(failures_with([&](Ranks& ranks) {
            FitObserver observer;
            observer.on_epoch = [&](const EpochResult&) { return fails_on_rank_1(ranks); };
            return observer;
          }) == expected);
  }
  SECTION("within a minibatch") {
    CHECK(failures_with([&](Ranks& ranks) {
            FitObserver observer;
            observer.is_interrupted = [&] { return !fails_on_rank_1(ranks); };
            return observer;
          }) == expected);
  }
}

TEST_CASE("a checkpoint that rank 0 cannot write ends the training of all") {
  const Dataset data = ragged_data(2, 3, 120, 9);
  for (const std::size_t epochs : {0U, 1U}) {
    std::vector<std::string> texts;
    const TemporaryDirectory directory;
    for (const auto& failure : on_ranks(2, [&](Ranks& ranks) {
           Options options = options_of_fit();
           options.patience = 0;
           Model model(data, options);
           model.set_ranks(&ranks);
           FitObserver observer;
           observer.checkpoints = Checkpoints{.path = directory / "none" / "checkpoint",
                                              .every_epochs = epochs,
                                              .every_seconds = epochs == 0 ? 1e-9 : 0};
           model.fit(data, observer);
         })) {
      texts.push_back(text_of(failure));
    }
    CHECK_THAT(texts[0], ContainsSubstring("cannot write checkpoint"));
    CHECK(texts[1] == "another rank has failed");
  }
}

TEST_CASE("ranks that do not fit together are refused by name") {
  const Dataset data = ragged_data(2, 3, 40, 9);
  const auto texts_of = [&](const std::function<void(Ranks&, Options&, Dataset&)>& change) {
    std::set<std::string> texts;
    for (const auto& failure : on_ranks(3, [&](Ranks& ranks) {
           Options options = options_of_fit();
           Dataset own = data;
           if (ranks.rank() == 2) change(ranks, options, own);
           Model model(own, options);
           model.set_ranks(&ranks);
           model.fit(own);
         })) {
      texts.insert(text_of(failure));
    }
    return texts;
  };
  CHECK(texts_of([](Ranks&, Options& options, Dataset&) { options.learning_rate = 0.5; }) ==
        std::set<std::string>{
            "rank 2 has another option learning_rate than rank 0: '0.5', not 'auto'"});
  const std::set<std::string> of_data = texts_of([](Ranks&, Options&, Dataset& own) {
    Dataset other(2, own.class_names());
    for (std::size_t i = 0; i < own.size(); ++i) {
      std::vector<float> values(own.sequence(i).begin(), own.sequence(i).end());
      if (i == 7) values[0] += 1;
      other.add(values, own.label(i));
    }
    own = other;
  });
  REQUIRE(of_data.size() == 1);
  CHECK_THAT(*of_data.begin(), ContainsSubstring("rank 2 has another data set"));
  CHECK(texts_of([](Ranks&, Options& options, Dataset&) {
          options.threads = 2;
          options.memory = std::size_t{1} << 30;
        }) == std::set<std::string>{""});
}

TEST_CASE("work that fails on some ranks is reported by rank 0 alone") {
  for (const int failing : {0, 1}) {
    std::vector<std::string> texts;
    std::vector<bool> elsewhere;
    for (const auto& failure : on_ranks(3, [&](Ranks& ranks) {
           together(ranks, [&] {
             if (ranks.rank() >= failing) throw std::invalid_argument("no such file");
           });
         })) {
      texts.push_back(text_of(failure));
      try {
        std::rethrow_exception(failure);
      } catch (const ReportedElsewhere&) {
        elsewhere.push_back(true);
      } catch (const std::exception&) {
        elsewhere.push_back(false);
      }
    }
    CHECK(elsewhere == std::vector<bool>{false, true, true});
    CHECK(texts[0] == (failing == 0 ? "no such file" : "rank 1: no such file"));
  }
}

namespace {

// Fails at its n-th exchange, as a network may.
class FailingRank : public ThreadRank {
 public:
  FailingRank(int rank, int size, Mail& mail, int fails_at)
      : ThreadRank(rank, size, mail), left_(fails_at) {}

 private:
  void before_move() override {
    if (left_-- == 0) {
      mail().end();
      throw RanksError("the cable is out");
    }
  }
  int left_;
};

}  // namespace

TEST_CASE("ranks end wherever one of them fails") {
  const Dataset data = ragged_data(2, 3, 60, 9);
  Options options = options_of_fit();
  options.epochs = 2;
  options.ema = 0.9;
  options.threads = 2;
  for (const int size : {2, 3, 4}) {
    int finished = 0;
    for (int fails_at = 0; fails_at < 60; fails_at += 3) {
      const std::vector<std::exception_ptr> failures = on_ranks(size, [&](int rank, Mail& mail) {
        const auto own = std::make_unique<FailingRank>(rank, size, mail, rank == 1 ? fails_at : -1);
        Model model(data, options);
        model.set_ranks(own.get());
        model.fit(data);
      });
      const bool all_well =
          std::ranges::all_of(failures, [](const auto& f) { return f == nullptr; });
      finished += all_well ? 1 : 0;
      // All or none, but for ranks that had nothing more to receive.
      if (!all_well) CHECK(failures[1] != nullptr);
    }
    CHECK(finished < 20);
  }
}

TEST_CASE("passes of learn give the same weights on ranks") {
  const Dataset data = ragged_data(2, 3, 90, 9);
  Options options = options_of_fit();
  options.validation = 0;
  options.patience = 0;
  options.ema = 0.9;
  Model alone(data, options);
  for (int pass = 0; pass < 3; ++pass) alone.learn(data);
  std::vector<std::uint64_t> hashes(3);
  require_well(on_ranks(3, [&](Ranks& ranks) {
    Model model(data, options);
    model.set_ranks(&ranks);
    for (int pass = 0; pass < 3; ++pass) model.learn(data);
    hashes[static_cast<std::size_t>(ranks.rank())] = model.weights_hash();
  }));
  CHECK(hashes == std::vector<std::uint64_t>(3, alone.weights_hash()));
}

TEST_CASE("minibatches that are not finite are left out, or end the training, on all ranks") {
  Dataset data = ragged_data(2, 3, 90, 9);
  std::vector<float> large(2 * 5, 3e38F);
  data.add(large, 0);
  for (const OnNan on_nan : {OnNan::skip, OnNan::stop}) {
    Options options = options_of_fit();
    options.cell = "relu";
    options.normalize = NormalizationKind::none;
    options.validation = 0;
    options.patience = 0;
    options.on_nan = on_nan;
    Model alone(data, options);
    const FitResult result = alone.fit(data);
    CHECK((result.skipped() > 0) == (on_nan == OnNan::skip));
    std::vector<std::uint64_t> hashes(3);
    std::vector<FitStatus> states(3);
    require_well(on_ranks(3, [&](Ranks& ranks) {
      Model model(data, options);
      model.set_ranks(&ranks);
      const auto rank = static_cast<std::size_t>(ranks.rank());
      states[rank] = model.fit(data).status;
      hashes[rank] = model.weights_hash();
    }));
    CHECK(hashes == std::vector<std::uint64_t>(3, alone.weights_hash()));
    CHECK(states == std::vector<FitStatus>(3, result.status));
  }
}

TEST_CASE("ranks measure the same model on the same data, or none") {
  const Dataset data = ragged_data(2, 3, 60, 9);
  Options options = options_of_fit();
  const auto texts_of = [&](std::uint64_t seed, std::size_t size) {
    std::set<std::string> texts;
    for (const auto& failure : on_ranks(2, [&](Ranks& ranks) {
           Options own = options;
           if (ranks.rank() == 1) own.seed = seed;
           Model model(data, own);
           model.set_ranks(&ranks);
           const std::vector<std::size_t> indices = first_indices(ranks.rank() == 1 ? size : 60);
           static_cast<void>(model.evaluate(data.subset(indices)));
         })) {
      texts.insert(text_of(failure));
    }
    return texts;
  };
  CHECK(texts_of(options.seed, 60) == std::set<std::string>{""});
  CHECK_THAT(*texts_of(99, 60).begin(), ContainsSubstring("rank 1 has another model"));
  CHECK_THAT(*texts_of(options.seed, 40).begin(), ContainsSubstring("rank 1 has another data set"));
}

}  // namespace lockstep
