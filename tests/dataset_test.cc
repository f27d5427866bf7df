#include "lockstep/rnn/dataset.h"

#include <array>
#include <cstdint>
#include <memory>
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

TEST_CASE("What shares values with another set is not changed with it") {
  Dataset data = small_set();
  const Dataset copy = data;
  Dataset twice = data.subset(std::array<std::size_t, 3>{1, 1, 2});
  CHECK(copy.sequence(0).data() == data.sequence(0).data());
  CHECK(twice.sequence(0).data() == data.sequence(1).data());
  data.writable_sequence(1)[0] = 50;
  twice.writable_sequence(0)[1] = 60;
  twice.add(std::array{13.0F, 14.0F}, 1);
  data.add(std::array{15.0F, 16.0F}, 0);
  CHECK(values_of(data, 1) == std::vector<float>{50, 6});
  CHECK(values_of(data, 3) == std::vector<float>{15, 16});
  CHECK(values_of(twice, 0) == std::vector<float>{5, 60});
  CHECK(values_of(twice, 1) == std::vector<float>{5, 6});
  CHECK(values_of(twice, 2) == std::vector<float>{7, 8, 9, 10, 11, 12});
  CHECK(values_of(twice, 3) == std::vector<float>{13, 14});
  CHECK(twice.first_timestep(3) == 5);
  CHECK(copy.size() == 3);
  CHECK(values_of(copy, 1) == std::vector<float>{5, 6});
}

TEST_CASE("A set over other memory reads it where it is, and copies it to change it") {
  auto memory = std::make_shared<std::vector<float>>(std::vector<float>{1, 2, 3, 4, 5, 6, 7, 8});
  const std::weak_ptr<std::vector<float>> watch = memory;
  const float* const first = memory->data();
  const std::span<const float> values = *memory;
  Dataset data = Dataset::over(2, values, 2, {1, 2}, std::move(memory));
  data.set_targets(TargetKind::label, {"a", "b"}, {1, 0}, {});
  CHECK(data.is_over_other_memory());
  CHECK(data.sequence(0).data() == first);
  CHECK(values_of(data, 0) == std::vector<float>{1, 2});
  CHECK(values_of(data, 1) == std::vector<float>{5, 6, 7, 8});
  Dataset part = data.with_classes({"b", "a"}).subset(std::array<std::size_t, 1>{1});
  data = Dataset(1);
  CHECK(values_of(part, 0) == std::vector<float>{5, 6, 7, 8});
  CHECK(part.label(0) == 1);
  part.writable_sequence(0)[0] = 9;
  CHECK_FALSE(part.is_over_other_memory());
  CHECK(values_of(part, 0) == std::vector<float>{9, 6, 7, 8});
  CHECK(watch.expired());
}

TEST_CASE("A set over other memory stays within it") {
  const std::vector<float> values(8);
  const auto over = [&](std::size_t stride, std::vector<std::size_t> lengths) {
    return Dataset::over(2, values, stride, std::move(lengths), nullptr).size();
  };
  CHECK(over(2, {2, 2}) == 2);
  CHECK(over(3, {3, 1}) == 2);
  CHECK_THROWS_AS(over(3, {3, 2}), std::invalid_argument);
  CHECK_THROWS_AS(over(2, {2, 2, 1}), std::invalid_argument);
  CHECK_THROWS_AS(over(2, {0}), std::invalid_argument);
  CHECK_THROWS_AS(over(2, {3}), std::invalid_argument);
  CHECK_THROWS_AS(over(SIZE_MAX, {1, 1}), std::invalid_argument);
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
