#include "lockstep/rnn/builtin_data.h"

#include <algorithm>
#include <stdexcept>

#include "catch.h"
#include "fnv_hash.h"

namespace lockstep {
namespace {

std::uint64_t hash_of(const TrainTest& sets) {
  FnvHash hash;
  hash.add(sets.train);
  hash.add(sets.test);
  return hash.value();
}

std::vector<std::ptrdiff_t> class_counts(const Dataset& data) {
  std::vector<std::ptrdiff_t> counts;
  for (int c = 0; c < static_cast<int>(data.classes()); ++c) {
    counts.push_back(std::count(data.labels().begin(), data.labels().end(), c));
  }
  return counts;
}

double mean(std::span<const float> values) {
  double sum = 0;
  for (const float value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

TEST_CASE("Built-in sets are the same numbers everywhere") {
  CHECK(hash_of(make_builtin_dataset("synthetic-control", 1)) == 0x12c155a46d167b5b);
  CHECK(hash_of(make_builtin_dataset("cylinder-bell-funnel", 1)) == 0x959fd9dbe2a4bfef);
  CHECK(hash_of(make_builtin_dataset("adding", 1)) == 0xcf7330f5f6cc7560);
  CHECK(hash_of(make_builtin_dataset("parity", 1)) == 0x2334b3e209a9fc39);
  CHECK(hash_of(make_builtin_dataset("adding-sum", 1)) == 0x53c10838520c8207);
  CHECK(hash_of(make_builtin_dataset("echo", 1)) == 0xc84c80b2da9f49b4);
  CHECK(hash_of(make_builtin_dataset("mackey-glass", 1)) == 0x2b393f293a59e655);
  CHECK(hash_of(make_builtin_dataset("tones", 1)) == 0x218b4e3fa1357808);
}

TEST_CASE("Every built-in set that is listed can be made and depends on its seed") {
  REQUIRE(builtin_datasets().size() == 8);
  for (const BuiltinInfo& info : builtin_datasets()) {
    INFO(info.name);
    CHECK_FALSE(info.summary.empty());
    CHECK(hash_of(make_builtin_dataset(info.name, 1)) !=
          hash_of(make_builtin_dataset(info.name, 2)));
  }
}

TEST_CASE("An unknown built-in set is refused with the known ones") {
  CHECK_THROWS_AS(make_builtin_dataset("mnist", 1), std::invalid_argument);
  CHECK_THROWS_WITH(
      make_builtin_dataset("mnist", 1),
      ContainsSubstring("'mnist'") &&
          ContainsSubstring("synthetic-control, cylinder-bell-funnel, adding, parity"));
}

TEST_CASE("synthetic-control has the shapes its classes name") {
  const TrainTest sets = make_builtin_dataset("synthetic-control", 3);
  CHECK(class_counts(sets.train) == std::vector<std::ptrdiff_t>(6, 50));
  CHECK(class_counts(sets.test) == std::vector<std::ptrdiff_t>(6, 50));
  for (std::size_t i = 0; i < sets.train.size(); ++i) {
    const auto values = sets.train.sequence(i);
    REQUIRE(values.size() == 60);
    const double rise = mean(values.last(20)) - mean(values.first(20));
    const std::string& name =
        sets.train.class_names()[static_cast<std::size_t>(sets.train.label(i))];
    INFO(name << ", sequence " << i);
    // The noise of both means together stays well below 5; a trend is 8 to 20, a shift 7.5 to 20.
    if (name == "normal") CHECK(std::abs(rise) < 5);
    if (name == "increasing" || name == "upward-shift") CHECK(rise > 4);
    if (name == "decreasing" || name == "downward-shift") CHECK(rise < -4);
    if (name == "normal") CHECK(*std::max_element(values.begin(), values.end()) <= 36);
    if (name == "cyclic") CHECK(*std::max_element(values.begin(), values.end()) > 36);
  }
}

TEST_CASE("cylinder-bell-funnel has the shapes its classes name") {
  const TrainTest sets = make_builtin_dataset("cylinder-bell-funnel", 3);
  CHECK(class_counts(sets.train) == std::vector<std::ptrdiff_t>(3, 10));
  CHECK(class_counts(sets.test) == std::vector<std::ptrdiff_t>(3, 300));
  std::vector<double> early(3);  // steps 33 to 48, where every pattern has begun and none has ended
  for (std::size_t i = 0; i < sets.test.size(); ++i) {
    const auto values = sets.test.sequence(i);
    REQUIRE(values.size() == 128);
    CHECK(std::abs(mean(values.first(15))) < 2);
    early[static_cast<std::size_t>(sets.test.label(i))] += mean(values.subspan(32, 16)) / 300;
  }
  CHECK(early[0] == Approx(6).margin(0.5));
  CHECK(early[1] < early[2]);
  CHECK(early[2] < early[0]);
}

TEST_CASE("adding-sum is adding with its sums") {
  const TrainTest sums = make_builtin_dataset("adding-sum", 3);
  const TrainTest classes = make_builtin_dataset("adding", 3);
  for (std::size_t i = 0; i < sums.test.size(); ++i) {
    CHECK(std::ranges::equal(sums.test.sequence(i), classes.test.sequence(i)));
    CHECK((sums.test.targets(i)[0] > 1) == (classes.test.label(i) == 1));
  }
}

TEST_CASE("echo asks for the bit of 8 steps ago") {
  const Dataset data = make_builtin_dataset("echo", 3).train;
  for (std::size_t i = 0; i < data.size(); ++i) {
    const auto labels = data.step_labels(i);
    REQUIRE(labels.size() == 40);
    for (std::size_t t = 0; t < labels.size(); ++t) {
      const int expected = t < 8 ? kNoLabel : static_cast<int>(data.sequence(i)[t - 8]);
      CHECK(labels[t] == expected);
    }
  }
}

TEST_CASE("mackey-glass asks for what comes 6 steps later") {
  const Dataset data = make_builtin_dataset("mackey-glass", 3).train;
  for (std::size_t i = 0; i < data.size(); ++i) {
    for (std::size_t t = 6; t < 100; ++t) {
      CHECK(data.targets(i)[t - 6] == data.sequence(i)[t]);
    }
    const auto [low, high] = std::ranges::minmax(data.sequence(i));
    CHECK((low > 0.1f && high < 1.6f && high - low > 0.3f));
  }
}

TEST_CASE("tones are louder where more of them sound") {
  const Dataset data = make_builtin_dataset("tones", 3).train;
  std::vector<double> power(5);
  std::vector<double> count(5);
  for (std::size_t i = 0; i < data.size(); ++i) {
    std::size_t tones = 0;
    for (const float target : data.targets(i)) tones += target > 0.5f;
    for (const float value : data.sequence(i)) power[tones] += std::pow(value, 2) / 64;
    count[tones] += 1;
  }
  for (std::size_t n = 0; n < 5; ++n) {
    CHECK(power[n] / count[n] == Approx(static_cast<double>(n) / 2 + 0.09).margin(0.15));
  }
}

TEST_CASE("adding asks whether the two marked values exceed 1") {
  const TrainTest sets = make_builtin_dataset("adding", 3);
  CHECK(sets.train.size() == 1000);
  CHECK(sets.test.size() == 500);
  CHECK(sets.train.channels() == 2);
  for (std::size_t i = 0; i < sets.train.size(); ++i) {
    const auto values = sets.train.sequence(i);
    REQUIRE(sets.train.length(i) == 50);
    float sum = 0;
    float markers = 0;
    for (std::size_t at = 0; at < values.size(); at += 2) {
      sum += values[at] * values[at + 1];
      markers += values[at + 1];
    }
    REQUIRE(markers == 2.0F);
    REQUIRE(sets.train.label(i) == (sum > 1 ? 1 : 0));
  }
  CHECK(class_counts(sets.train)[0] == Approx(500).margin(65));
}

TEST_CASE("parity asks whether the number of ones is odd") {
  const TrainTest sets = make_builtin_dataset("parity", 3);
  CHECK(sets.train.size() == 1000);
  CHECK(sets.test.size() == 500);
  CHECK(sets.train.max_length() == 20);
  for (std::size_t i = 0; i < sets.train.size(); ++i) {
    const auto values = sets.train.sequence(i);
    REQUIRE(values.size() >= 5);
    const auto ones = std::count(values.begin(), values.end(), 1.0F);
    REQUIRE(std::count(values.begin(), values.end(), 0.0F) + ones ==
            static_cast<std::ptrdiff_t>(values.size()));
    REQUIRE(sets.train.label(i) == ones % 2);
  }
}

}  // namespace
}  // namespace lockstep
