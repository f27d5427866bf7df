#pragma once

#include <cstddef>
#include <cstdint>
#include <new>

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
