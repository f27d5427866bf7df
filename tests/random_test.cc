#include "lockstep/rnn/random.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <string_view>
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

// Known answers of the authors' library, Random123 (kat_vectors).
TEST_CASE("Philox gives the published numbers") {
  using Words = std::array<std::uint32_t, 4>;
  constexpr std::uint32_t kOnes = 0xffffffff;
  CHECK(Philox::block({0, 0, 0, 0}, {0, 0}) ==
        Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(Philox::block({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}) ==
        Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(Philox::block({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("A keyed stream depends on seed, purpose and index alone") {
  const auto first = [](std::uint64_t seed, std::string_view purpose, std::uint64_t index) {
    return KeyedRandom(seed, purpose, index).index(std::uint64_t{1} << 63);
  };
  const std::uint64_t one = first(1, "order", 0);
  CHECK(first(1, "order", 0) == one);
  CHECK(first(2, "order", 0) != one);
  CHECK(first(1, "other", 0) != one);
  CHECK(first(1, "order", 1) != one);
  KeyedRandom random(1, "order", 0);
  double sum = 0;
  constexpr int kCount = 100000;
  for (int i = 0; i < kCount; ++i) sum += random.normal();
  CHECK(sum / kCount == Approx(0).margin(0.013));
}

}  // namespace
}  // namespace lockstep
