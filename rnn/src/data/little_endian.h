#pragma once

#include <cstddef>
#include <cstdint>

namespace lockstep {

/// A number of up to 8 bytes, little-endian on every machine; `fill` gives the bits above them.
inline std::uint64_t read_little_endian(const char* bytes, std::size_t count,
                                        std::uint64_t fill = 0) {
  std::uint64_t value = fill;
  for (std::size_t i = count; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

}  // namespace lockstep
