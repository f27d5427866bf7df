#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <vector>

#include "lockstep/rnn/random.h"

namespace lockstep {

inline constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
inline constexpr float kInfinity = std::numeric_limits<float>::infinity();

inline bool same_bits(float a, float b) {
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
}

inline bool same_bits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size_bytes()) == 0);
}

inline bool all_nan(std::span<const float> values) {
  return std::ranges::all_of(values, [](float x) { return std::isnan(x); });
}

// Standard normal numbers, the same for the same seed.
inline std::vector<float> normal_floats(std::size_t count, std::uint64_t seed) {
  Random random(seed);
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(random.normal());
  return values;
}

// Distance of `found` from `exact` in units in the last place of the latter; below the normal range
// in units of the smallest denormal. Infinity counts as 2^128, the float after the largest; a NaN
// on one side only is infinitely far.
inline double ulp_error(float found, double exact) {
  if (std::isnan(found) || std::isnan(exact)) {
    return std::isnan(found) && std::isnan(exact) ? 0 : std::numeric_limits<double>::infinity();
  }
  const auto finite = [](double x) { return std::clamp(x, -0x1p128, 0x1p128); };
  // The exponent field of a double alone is a power of two; std::ilogb is too slow for all floats.
  constexpr std::uint64_t kExponent = 0x7FF0000000000000;
  const auto power = std::bit_cast<double>(std::bit_cast<std::uint64_t>(exact) & kExponent);
  const double unit = std::clamp(power, 0x1p-126, 0x1p127) * 0x1p-23;
  return std::abs(finite(static_cast<double>(found)) - finite(exact)) / unit;
}

}  // namespace lockstep
