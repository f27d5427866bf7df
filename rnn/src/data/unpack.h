// Compressed data, of which no more is unpacked than a file of its size may hold.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lockstep::data_file {

// What files may unpack to without being asked for it: a number of bytes, and a multiple of what
// they are longer than a small file. A byte of a .npz can be a sequence, which takes 30 in memory.
inline constexpr std::uint64_t kFreelyUnpacked = 1 << 20;
inline constexpr std::uint64_t kFreeRatio = 64;
inline constexpr std::uint64_t kSmallFile = 64 << 10;
// Throws DataError, with `what` in front, for an archive of `packed` bytes that unpacks to more.
// LOCKSTEP_MAX_UNPACKED in the environment, in bytes, is another bound.
void require_unpackable(std::uint64_t unpacked, std::uint64_t packed, const std::string& what);

// Whether bytes begin as a file in gzip's format does (RFC 1952).
[[nodiscard]] inline bool is_gzip(std::string_view bytes) {
  return bytes.starts_with("\x1f\x8b\x08");
}
// The content, of all members. Throws DataError for a damaged one, or without zlib.
[[nodiscard]] std::string unpack_gzip(std::string_view bytes, const std::string& file);

}  // namespace lockstep::data_file
