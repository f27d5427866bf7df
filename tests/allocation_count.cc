// Replaces the global operator new by one that counts. The forms not given here (arrays, nothrow)
// call these.
#include "allocation_count.h"

#include <atomic>
#include <cstdlib>
#include <new>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define LOCKSTEP_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LOCKSTEP_SANITIZED 1
#endif

#if LOCKSTEP_SANITIZED

std::optional<std::size_t> lockstep::allocation_count() { return std::nullopt; }
std::optional<std::size_t> lockstep::allocated_bytes() { return std::nullopt; }

#else

namespace {

std::atomic<std::size_t> g_count{0};
std::atomic<std::size_t> g_bytes{0};

void* counted(void* memory, std::size_t size) {
  g_count.fetch_add(1, std::memory_order_relaxed);
  g_bytes.fetch_add(size, std::memory_order_relaxed);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

std::optional<std::size_t> lockstep::allocation_count() { return g_count; }
std::optional<std::size_t> lockstep::allocated_bytes() { return g_bytes; }

void* operator new(std::size_t size) { return counted(std::malloc(size > 0 ? size : 1), size); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  const auto unit = static_cast<std::size_t>(alignment);
  return counted(std::aligned_alloc(unit, (size / unit + 1) * unit), size);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

#endif
