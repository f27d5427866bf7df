#include "lockstep/rnn/random.h"

#include <cmath>
#include <utility>

#include "binary.h"
#include "lockstep/portable_math.h"
#include "network/philox.h"

namespace lockstep {
namespace {

std::uint64_t stream_of(std::string_view purpose, std::uint64_t index) {
  std::uint64_t hash = kFnvBasis;
  for (const char c : purpose) hash = fnv1a(hash, static_cast<unsigned char>(c), 1);
  return fnv1a(hash, index, sizeof index);
}

constexpr std::uint32_t low(std::uint64_t x) { return static_cast<std::uint32_t>(x); }
constexpr std::uint32_t high(std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); }

}  // namespace

Philox::Philox(std::uint64_t seed, std::string_view purpose, std::uint64_t index)
    : seed_(seed), stream_(stream_of(purpose, index)) {}

std::array<std::uint32_t, 4> Philox::block(std::array<std::uint32_t, 4> c,
                                           std::array<std::uint32_t, 2> key) {
  PhiloxWords<1> words{{{c[0]}, {c[1]}, {c[2]}, {c[3]}}};
  philox_rounds(words, key);
  return {words[0][0], words[1][0], words[2][0], words[3][0]};
}

Philox::result_type Philox::operator()() {
  const std::uint64_t place = place_++;
  if (place % 2 == 1) return second_;
  const auto words = block({low(place / 2), high(place / 2), low(stream_), high(stream_)},
                           {low(seed_), high(seed_)});
  second_ = words[2] | std::uint64_t{words[3]} << 32;
  return words[0] | std::uint64_t{words[1]} << 32;
}

template <class Engine>
double Distributions<Engine>::uniform() {
  return static_cast<double>(engine_() >> 11) * 0x1p-53;
}

template <class Engine>
std::uint64_t Distributions<Engine>::index(std::uint64_t count) {
  // The lowest 2^64 mod count draws are rejected: what remains is a whole multiple of count.
  const std::uint64_t rejected = (0 - count) % count;
  std::uint64_t draw = engine_();
  while (draw < rejected) draw = engine_();
  return draw % count;
}

template <class Engine>
double Distributions<Engine>::normal() {
  if (has_spare_) {
    has_spare_ = false;
    return spare_;
  }
  double x = 0;
  double y = 0;
  double square = 0;
  do {
    x = uniform(-1.0, 1.0);
    y = uniform(-1.0, 1.0);
    square = x * x + y * y;
  } while (square >= 1.0 || square == 0.0);
  const double factor = std::sqrt(-2.0 * portable_log(square) / square);
  spare_ = y * factor;
  has_spare_ = true;
  return x * factor;
}

template <class Engine>
void Distributions<Engine>::shuffle(std::span<std::size_t> items) {
  for (std::size_t left = items.size(); left > 1; --left) {
    std::swap(items[left - 1], items[index(left)]);
  }
}

template class Distributions<std::mt19937_64>;
template class Distributions<Philox>;

}  // namespace lockstep
