// Replaces the global operator new by one that counts. The forms not given here (arrays, nothrow)
// call these. With sanitizers their hooks count what is held.
#include "allocation_count.h"

#include <algorithm>
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
// As <sanitizer/allocator_interface.h> has them, which g++ does not install.
// NOLINTBEGIN(bugprone-reserved-identifier, readability-identifier-naming)
extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*)(const volatile void*,
                                                                  std::size_t),
                                                         void (*)(const volatile void*));
extern "C" std::size_t __sanitizer_get_allocated_size(const volatile void*);
// NOLINTEND(bugprone-reserved-identifier, readability-identifier-naming)
#else
#include <malloc.h>
#endif

namespace {

std::atomic<std::ptrdiff_t> g_held{0};
std::atomic<std::ptrdiff_t> g_peak{0};

void hold(std::size_t bytes) {
  const auto added = static_cast<std::ptrdiff_t>(bytes);
  const std::ptrdiff_t held = g_held.fetch_add(added, std::memory_order_relaxed) + added;
  std::ptrdiff_t peak = g_peak.load(std::memory_order_relaxed);
  while (held > peak && !g_peak.compare_exchange_weak(peak, held, std::memory_order_relaxed)) {
  }
}
void release(std::size_t bytes) {
  g_held.fetch_sub(static_cast<std::ptrdiff_t>(bytes), std::memory_order_relaxed);
}

}  // namespace

#if LOCKSTEP_SANITIZED

std::optional<std::size_t> lockstep::allocation_count() { return std::nullopt; }
std::optional<std::size_t> lockstep::allocated_bytes() { return std::nullopt; }
lockstep::NoMemory::NoMemory(std::ptrdiff_t /*allocations*/) {}
lockstep::NoMemory::~NoMemory() = default;

namespace {

void install_hooks() {
  [[maybe_unused]] static const int kInstalled = __sanitizer_install_malloc_and_free_hooks(
      [](const volatile void* memory, std::size_t size) {
        if (memory != nullptr) hold(size);
      },
      [](const volatile void* memory) {
        if (memory != nullptr) release(__sanitizer_get_allocated_size(memory));
      });
}

}  // namespace

#else

namespace {

std::atomic<std::size_t> g_count{0};
std::atomic<std::size_t> g_bytes{0};
constexpr std::ptrdiff_t kUnlimited = -1;
std::atomic<std::ptrdiff_t> g_left{kUnlimited};

void install_hooks() {}

bool is_refused() { return g_left == 0 || (g_left > 0 && g_left-- == 0); }

void* counted(void* memory, std::size_t size) {
  g_count.fetch_add(1, std::memory_order_relaxed);
  g_bytes.fetch_add(size, std::memory_order_relaxed);
  if (memory == nullptr) throw std::bad_alloc();
  hold(malloc_usable_size(memory));
  return memory;
}
void give_back(void* memory) {
  release(malloc_usable_size(memory));
  std::free(memory);
}

}  // namespace

std::optional<std::size_t> lockstep::allocation_count() { return g_count; }
std::optional<std::size_t> lockstep::allocated_bytes() { return g_bytes; }
lockstep::NoMemory::NoMemory(std::ptrdiff_t allocations) { g_left = allocations; }
lockstep::NoMemory::~NoMemory() { g_left = kUnlimited; }

void* operator new(std::size_t size) {
  return counted(is_refused() ? nullptr : std::malloc(size > 0 ? size : 1), size);
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  const auto unit = static_cast<std::size_t>(alignment);
  return counted(is_refused() ? nullptr : std::aligned_alloc(unit, (size / unit + 1) * unit), size);
}
void operator delete(void* memory) noexcept { give_back(memory); }
void operator delete(void* memory, std::size_t) noexcept { give_back(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { give_back(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { give_back(memory); }

#endif

lockstep::HeapWatch::HeapWatch() {
  install_hooks();
  before_ = g_held;
  g_peak = before_;
}

std::size_t lockstep::HeapWatch::peak() const {
  return static_cast<std::size_t>(std::max<std::ptrdiff_t>(g_peak - before_, 0));
}
