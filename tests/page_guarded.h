#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <new>
#include <span>

namespace lockstep {

// Floats that end where a page without access begins: reading one beyond them ends the program.
// (The guards of a GuardedMatrix are memory of its own, so they show writes and use, not mere
// reading.)
class PageGuarded {
 public:
  explicit PageGuarded(std::span<const float> values) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t bytes = values.size_bytes();
    const std::size_t accessible = (bytes + page - 1) / page * page;
    mapped_ = accessible + page;
    memory_ = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory_ == MAP_FAILED) throw std::bad_alloc();
    auto* guard = static_cast<std::byte*>(memory_) + accessible;
    if (mprotect(guard, page, PROT_NONE) != 0) throw std::bad_alloc();
    data_ = reinterpret_cast<float*>(guard - bytes);
    std::ranges::copy(values, data_);
  }
  ~PageGuarded() { munmap(memory_, mapped_); }
  PageGuarded(const PageGuarded&) = delete;
  PageGuarded& operator=(const PageGuarded&) = delete;

  [[nodiscard]] float* data() { return data_; }

 private:
  void* memory_;
  std::size_t mapped_;
  float* data_;
};

}  // namespace lockstep
