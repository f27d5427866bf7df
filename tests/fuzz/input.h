// How the bytes of a fuzzer reach a reader, and what it may take for them.
#pragma once

#include <algorithm>
#include <exception>
#include <filesystem>
#include <string>
#include <string_view>

#include "allocation_count.h"
#include "fuzz/target.h"

namespace lockstep::fuzz {

// A file that only this process sees; readers take a path.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view bytes);
  ~MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  int descriptor_;
  std::filesystem::path path_;
};

// Throws Defect, with `what`, unless it holds.
inline void require(bool holds, const std::string& what) {
  if (!holds) throw Defect(what);
}

// Throws Defect unless the message begins like this and is a line of UTF-8, not too long.
void require_message(const std::exception& error, const std::string& start);

// The largest memory that a reader took in this process.
std::size_t& most_memory();

// What `read` returns. Throws Defect if it takes more memory than it may.
template <class Read>
auto within_bounds(const Read& read) {
  const HeapWatch watch;
  const auto check = [&watch] {
    const std::size_t peak = watch.peak();
    most_memory() = std::max(most_memory(), peak);
    require(peak <= kMemoryBound, "the reader took " + std::to_string(peak) + " bytes of memory");
  };
  try {
    auto result = read();
    check();
    return result;
  } catch (const Defect&) {
    throw;
  } catch (...) {
    check();
    throw;
  }
}

}  // namespace lockstep::fuzz
