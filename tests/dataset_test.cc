#include "lockstep/rnn/dataset.h"

#include <array>
#include <stdexcept>

#include "catch.h"

namespace lockstep {
namespace {

// Three sequences of two channels, of 2, 1 and 3 steps.
Dataset small_set() {
  Dataset data(2, {"low", "high"});
  data.add(std::array{1.0F, 2.0F, 3.0F, 4.0F}, 0);
  data.add(std::array{5.0F, 6.0F}, 1);
  data.add(std::array{7.0F, 8.0F, 9.0F, 10.0F, 11.0F, 12.0F}, kNoLabel);
  return data;
}

std::vector<float> values_of(const Dataset& data, std::size_t i) {
  const auto values = data.sequence(i);
  return {values.begin(), values.end()};
}

TEST_CASE("Dataset holds ragged sequences") {
  const Dataset data = small_set();
  CHECK(data.size() == 3);
  CHECK(data.channels() == 2);
  CHECK(data.classes() == 2);
  CHECK(data.length(0) == 2);
  CHECK(data.length(2) == 3);
  CHECK(values_of(data, 1) == std::vector<float>{5, 6});
  CHECK(values_of(data, 2) == std::vector<float>{7, 8, 9, 10, 11, 12});
  CHECK(data.labels() == std::vector<int>{0, 1, kNoLabel});
  CHECK(data.max_length() == 3);
  CHECK(data.total_timesteps() == 6);
}

TEST_CASE("An empty Dataset has no timesteps") {
  const Dataset data(1);
  CHECK(data.empty());
  CHECK(data.max_length() == 0);
  CHECK(data.total_timesteps() == 0);
}

TEST_CASE("Dataset refuses what does not fit its shape") {
  CHECK_THROWS_AS(Dataset(0), std::invalid_argument);
  Dataset data(2, {"only"});
  CHECK_THROWS_AS(data.add({}, 0), std::invalid_argument);
  CHECK_THROWS_AS(data.add(std::array{1.0F, 2.0F, 3.0F}, 0), std::invalid_argument);
  CHECK_THROWS_AS(data.add(std::array{1.0F, 2.0F}, 1), std::invalid_argument);
  CHECK_THROWS_AS(data.add(std::array{1.0F, 2.0F}, -2), std::invalid_argument);
  CHECK(data.empty());
}

TEST_CASE("A subset has the given sequences in the given order") {
  const Dataset data = small_set().subset(std::array<std::size_t, 3>{2, 0, 2});
  CHECK(data.labels() == std::vector<int>{kNoLabel, 0, kNoLabel});
  CHECK(values_of(data, 1) == std::vector<float>{1, 2, 3, 4});
  CHECK(values_of(data, 2) == std::vector<float>{7, 8, 9, 10, 11, 12});
  CHECK(data.class_names() == std::vector<std::string>{"low", "high"});
}

TEST_CASE("with_classes matches labels by name") {
  const Dataset data = small_set().with_classes({"high", "middle", "low"});
  CHECK(data.labels() == std::vector<int>{2, 0, kNoLabel});
  CHECK(data.classes() == 3);
}

TEST_CASE("with_classes needs the classes that occur, and no others") {
  Dataset data(1, {"used", "unused"});
  data.add(std::array{1.0F}, 0);
  CHECK(data.with_classes({"used"}).labels() == std::vector<int>{0});
  CHECK_THROWS_WITH(data.with_classes({"unused"}), ContainsSubstring("'used'"));
}

}  // namespace
}  // namespace lockstep
