// Numbers in files, little-endian on every machine, and the shapes of arrays in them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace lockstep {

// A number of up to 8 bytes; `fill` gives the bits above them.
inline std::uint64_t read_little_endian(const char* bytes, std::size_t count,
                                        std::uint64_t fill = 0) {
  std::uint64_t value = fill;
  for (std::size_t i = count; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

inline void append_little_endian(std::string& bytes, std::uint64_t value, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) bytes.push_back(static_cast<char>(value >> 8 * i & 0xff));
}

// FNV-1a 64, continued from `hash` over the bytes of a number.
inline constexpr std::uint64_t kFnvBasis = 0xcbf29ce484222325;
inline std::uint64_t fnv1a(std::uint64_t hash, std::uint64_t value, std::size_t count) {
  constexpr std::uint64_t kPrime = 0x100000001b3;
  for (std::size_t i = 0; i < count; ++i) hash = (hash ^ (value >> 8 * i & 0xff)) * kPrime;
  return hash;
}

// The product of `unit` and all sizes, if it can be represented.
inline std::optional<std::uint64_t> checked_product(std::uint64_t unit,
                                                    const std::vector<std::size_t>& sizes) {
  for (const std::size_t size : sizes) {
    if (size != 0 && unit > std::numeric_limits<std::uint64_t>::max() / size) return {};
    unit *= size;
  }
  return unit;
}

// "[3][4]" for an error message, cut off where it is very long.
inline std::string shape_text(const std::vector<std::size_t>& shape) {
  constexpr std::size_t kMaxLength = 80;
  std::string text;
  for (const std::size_t size : shape) {
    if (text.size() > kMaxLength) return text + "...";
    text += '[' + std::to_string(size) + ']';
  }
  return text.empty() ? "[]" : text;
}

}  // namespace lockstep
