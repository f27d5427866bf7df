#pragma once

#include <cstddef>
#include <new>
#include <vector>

#include "lockstep/detail/aligned_memory.h"

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
