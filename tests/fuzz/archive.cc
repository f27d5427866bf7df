#include "fuzz/archive.h"

#include <cstdint>
#include <initializer_list>

#include "binary.h"

namespace lockstep::fuzz {
namespace {

constexpr std::string_view kArrayMark = "\x93NUMPY";

// CRC-32 of zip (polynomial 0x04c11db7, bits reversed).
std::uint32_t checksum(std::string_view bytes) {
  std::uint32_t sum = 0xffffffff;
  for (const char byte : bytes) {
    sum ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) sum = sum >> 1 ^ ((sum & 1) != 0 ? 0xedb88320 : 0);
  }
  return ~sum;
}

void append(std::string& bytes, std::initializer_list<std::uint64_t> numbers, std::size_t count) {
  for (const std::uint64_t number : numbers) append_little_endian(bytes, number, count);
}

// Version, flags, method and time of an entry, then checksum, sizes and the length of its name.
void append_entry(std::string& bytes, std::string_view name, std::string_view content) {
  append(bytes, {20, 0, 0, 0, 0}, 2);
  append(bytes, {checksum(content), content.size(), content.size()}, 4);
  append(bytes, {name.size()}, 2);
}

}  // namespace

bool is_array(std::string_view bytes) { return bytes.starts_with(kArrayMark); }

std::vector<std::pair<std::string, std::string_view>> files_of(std::string_view arrays) {
  std::vector<std::pair<std::string, std::string_view>> files;
  for (const char* const name : {"X.npy", "y.npy", "lengths.npy", "sample_weight.npy"}) {
    if (arrays.empty()) break;
    files.emplace_back(name, arrays.substr(0, arrays.find(kArrayMark, 1)));
    arrays.remove_prefix(files.back().second.size());
  }
  return files;
}

std::string archive_of(std::string_view arrays) {
  std::string file;
  std::string directory;
  std::uint64_t count = 0;
  for (const auto& [name, content] : files_of(arrays)) {
    directory += "PK\1\2";
    append(directory, {20}, 2);
    append_entry(directory, name, content);
    append(directory, {0, 0, 0, 0}, 2);
    append(directory, {0, file.size()}, 4);
    directory += name;
    file += "PK\3\4";
    append_entry(file, name, content);
    append(file, {0}, 2);
    file.append(name).append(content);
    ++count;
  }
  std::string end = "PK\5\6";
  append(end, {0, 0, count, count}, 2);
  append(end, {directory.size(), file.size()}, 4);
  append(end, {0}, 2);
  return file + directory + end;
}

}  // namespace lockstep::fuzz
