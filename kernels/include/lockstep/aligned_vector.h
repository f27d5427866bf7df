#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <vector>

namespace lockstep::detail {

/// Memory that begins at a multiple of `alignment`, a power of two and at least that of a pointer's
/// size, with the address of the whole in front of it. glibc's own aligned form, before 2.38, can
/// give no freed block of the same size again (its bug 14581), so that a program that allocates
/// and frees in turn grows by every block.
///
/// Errors: std::bad_alloc if there is none, std::bad_array_new_length if no memory could be as
/// large.
inline void* allocate_aligned(std::size_t bytes, std::size_t alignment) {
  const std::size_t extra = alignment + sizeof(void*);
  if (bytes > static_cast<std::size_t>(PTRDIFF_MAX) - extra) throw std::bad_array_new_length();
  void* whole = ::operator new(bytes + extra);
  const auto first = reinterpret_cast<std::uintptr_t>(whole) + extra;
  auto* begin = static_cast<std::byte*>(whole) + (extra - first % alignment);
  reinterpret_cast<void**>(begin)[-1] = whole;
  return begin;
}

/// Gives back what `allocate_aligned` gave.
inline void free_aligned(void* memory) noexcept {
  ::operator delete(static_cast<void**>(memory)[-1]);
}

}  // namespace lockstep::detail

namespace lockstep {

/// Allocates on cache-line boundaries, so that whole vectors never straddle two lines and threads
/// that write to different buffers share none.
template <class T>
struct CacheLineAllocator {
  using value_type = T;                          ///< as every allocator says it
  static constexpr std::size_t kAlignment = 64;  ///< bytes of a cache line

  CacheLineAllocator() = default;
  /// All are alike, whatever they allocate.
  template <class U>
  explicit CacheLineAllocator(const CacheLineAllocator<U>&) {}

  /// Memory for `n` objects.
  ///
  /// Errors: std::bad_alloc if there is none, std::bad_array_new_length if no memory could be as
  /// large.
  T* allocate(std::size_t n) {
    if (n > static_cast<std::size_t>(-1) / sizeof(T)) throw std::bad_array_new_length();
    return static_cast<T*>(detail::allocate_aligned(n * sizeof(T), kAlignment));
  }
  /// Gives back what `allocate` gave.
  void deallocate(T* p, std::size_t) { detail::free_aligned(p); }

  /// Memory of one can be given back to any other.
  template <class U>
  bool operator==(const CacheLineAllocator<U>&) const {
    return true;
  }
};

/// A vector whose elements begin on a cache line.
template <class T>
using AlignedVector = std::vector<T, CacheLineAllocator<T>>;

}  // namespace lockstep
