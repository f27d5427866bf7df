#pragma once

#include <cstddef>
#include <optional>

namespace lockstep {

// Calls of operator new in this process so far. Nothing in a build with sanitizers, whose own
// operators must stay.
std::optional<std::size_t> allocation_count();
// The bytes that they asked for together, whether given back or not.
std::optional<std::size_t> allocated_bytes();

// While it lives operator new fails where allocation_count counts, after so many that succeed. One
// at a time.
class NoMemory {
 public:
  explicit NoMemory(std::ptrdiff_t allocations);
  ~NoMemory();
  NoMemory(const NoMemory&) = delete;
  NoMemory& operator=(const NoMemory&) = delete;
};

// The memory that is taken from now on, at most at a time; with sanitizers too. One at a time.
class HeapWatch {
 public:
  HeapWatch();
  [[nodiscard]] std::size_t peak() const;

 private:
  std::ptrdiff_t before_;
};

}  // namespace lockstep
