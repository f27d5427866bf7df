// Numbers in files: little-endian on every machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

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

}  // namespace lockstep
