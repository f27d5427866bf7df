#include "lockstep/rnn/random.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "catch.h"

namespace lockstep {
namespace {

TEST_CASE("Random gives the same numbers everywhere") {
  Random random(1);
  CHECK(random.uniform() == 0x1.122deafddb434p-3);
  CHECK(random.uniform() == 0x1.175c928118c7cp-3);
  CHECK(random.index(1000) == 930);
  CHECK(random.normal() == 0x1.c04a2e7d4a49ep-1);
  CHECK(random.normal() == -0x1.fdfad7c84e103p-5);
  CHECK(random.normal() == -0x1.8493f55b27090p-1);
  std::vector<std::size_t> order(8);
  std::iota(order.begin(), order.end(), std::size_t{0});
  random.shuffle(order);
  CHECK(order == std::vector<std::size_t>{7, 1, 4, 3, 2, 6, 5, 0});
}

TEST_CASE("Uniform numbers fill their interval") {
  Random random(2);
  constexpr int kCount = 100000;
  double sum = 0;
  for (int i = 0; i < kCount; ++i) {
    const double value = random.uniform(-3, 5);
    REQUIRE(value >= -3);
    REQUIRE(value < 5);
    sum += value;
  }
  CHECK(sum / kCount == Approx(1).margin(0.03));  // four standard errors
}

TEST_CASE("Indices are uniform") {
  Random random(3);
  constexpr int kCount = 70000;
  std::array<int, 7> counts{};
  for (int i = 0; i < kCount; ++i) ++counts.at(random.index(counts.size()));
  for (const int count : counts) CHECK(count == Approx(10000).margin(400));
  CHECK(random.index(1) == 0);
}

TEST_CASE("Indices below a huge count reject the excess draws") {
  // Without rejection the first half of 3 * 2^62 would be drawn twice as often as it should.
  constexpr std::uint64_t kCount = std::uint64_t{3} << 62;
  Random random(4);
  int low = 0;
  for (int i = 0; i < 30000; ++i) low += random.index(kCount) < kCount / 3 ? 1 : 0;
  CHECK(low == Approx(10000).margin(400));
}

TEST_CASE("Normal numbers have mean 0 and deviation 1") {
  Random random(5);
  constexpr int kCount = 100000;
  double sum = 0;
  double squares = 0;
  int beyond_two = 0;
  for (int i = 0; i < kCount; ++i) {
    const double value = random.normal();
    sum += value;
    squares += value * value;
    beyond_two += value * value > 4 ? 1 : 0;
  }
  CHECK(sum / kCount == Approx(0).margin(0.013));
  CHECK(squares / kCount == Approx(1).margin(0.018));
  CHECK(beyond_two == Approx(4550).margin(270));
}

TEST_CASE("A shuffle is a permutation") {
  Random random(6);
  std::vector<std::size_t> items(100);
  std::iota(items.begin(), items.end(), std::size_t{0});
  const std::vector<std::size_t> before = items;
  random.shuffle(items);
  CHECK(items != before);
  std::sort(items.begin(), items.end());
  CHECK(items == before);
}

TEST_CASE("A restored state continues exactly") {
  Random random(7);
  static_cast<void>(random.normal());  // leaves a spare number that the state must hold
  Random other(8);
  other.restore(random.state());
  for (int i = 0; i < 1000; ++i) REQUIRE(other.normal() == random.normal());
  CHECK(other.state() == random.state());
}

TEST_CASE("Restoring from other text changes nothing") {
  Random random(9);
  const std::string before = random.state();
  for (const std::string& text : {std::string(), std::string("1 2 3"), "x" + before, before + " 1",
                                  before.substr(0, before.size() / 2)}) {
    CHECK_THROWS_AS(random.restore(text), std::invalid_argument);
  }
  CHECK(random.state() == before);
}

}  // namespace
}  // namespace lockstep
