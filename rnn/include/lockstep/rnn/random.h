#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string_view>

#include "lockstep/export.h"

namespace lockstep {

/// Philox4x32-10 of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC 2011): the
/// numbers of a stream are a function of its name and their places, and of nothing else.
class LOCKSTEP_API Philox {
 public:
  /// Whole numbers of 64 bits.
  using result_type = std::uint64_t;

  /// A stream: the seed is the key; purpose and index, hashed by FNV-1a 64, are the upper half of
  /// the counter.
  Philox(std::uint64_t seed, std::string_view purpose, std::uint64_t index = 0);

  /// The next number.
  result_type operator()();

  /// The ten rounds: four words for a counter and a key.
  static std::array<std::uint32_t, 4> block(std::array<std::uint32_t, 4> counter,
                                            std::array<std::uint32_t, 2> key);

 private:
  std::uint64_t seed_;
  std::uint64_t stream_;
  std::uint64_t place_ = 0;  // of the next number; two make a block
  std::uint64_t second_ = 0;
};

/// Random numbers that are the same on every machine, compiler and standard library: the
/// distributions are our own, since std::normal_distribution and std::shuffle are not fixed. Not
/// thread-safe.
template <class Engine>
class LOCKSTEP_API Distributions {
 public:
  /// Equal engines give equal numbers.
  explicit Distributions(const Engine& engine) : engine_(engine) {}

  /// Uniform on [0, 1), a multiple of 2^-53.
  double uniform();
  /// Uniform on [low, high), but for the rounding of low + (high - low) * uniform(), by which it
  /// can be `high`.
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  /// Uniform on 0 .. count-1 without bias (rejection); count >= 1.
  std::uint64_t index(std::uint64_t count);
  /// Standard normal (Marsaglia's polar method; the logarithm is `portable_log`).
  double normal();
  /// Fisher-Yates shuffle in place.
  void shuffle(std::span<std::size_t> items);

 private:
  Engine engine_;
  bool has_spare_ = false;
  double spare_ = 0;
};

extern template class Distributions<std::mt19937_64>;
extern template class Distributions<Philox>;

/// One long stream, by the engine that the C++ standard fixes bit by bit: for data sets.
class LOCKSTEP_API Random : public Distributions<std::mt19937_64> {
 public:
  /// Equal seeds give equal numbers.
  explicit Random(std::uint64_t seed) : Distributions(std::mt19937_64(seed)) {}
};

/// Many short streams, each named by (seed, purpose, index): for all that a training draws.
class LOCKSTEP_API KeyedRandom : public Distributions<Philox> {
 public:
  /// Equal names give equal numbers.
  KeyedRandom(std::uint64_t seed, std::string_view purpose, std::uint64_t index = 0)
      : Distributions(Philox(seed, purpose, index)) {}
};

}  // namespace lockstep
