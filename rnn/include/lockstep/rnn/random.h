#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string>

#include "lockstep/export.h"

namespace lockstep {

/// Random numbers that are the same on every machine, compiler and standard library.
///
/// The engine is std::mt19937_64, which the C++ standard fixes bit by bit; the distributions are
/// our own, because std::normal_distribution and std::shuffle are not fixed. Not thread-safe.
class LOCKSTEP_API Random {
 public:
  /// Equal seeds give equal numbers.
  explicit Random(std::uint64_t seed) : engine_(seed) {}

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

  /// The whole state as text (for checkpoints). It is for the same C++ standard library: they order
  /// the engine's words differently.
  [[nodiscard]] std::string state() const;
  /// Goes on from a state. Throws std::invalid_argument, and changes nothing, if the text is none.
  void restore(const std::string& state);

 private:
  std::mt19937_64 engine_;
  bool has_spare_ = false;
  double spare_ = 0;
};

}  // namespace lockstep
