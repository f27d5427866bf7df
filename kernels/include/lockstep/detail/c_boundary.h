// How the C functions of both libraries begin and end. Not installed.
#pragma once

#include <initializer_list>

#include "lockstep/detail/require.h"
#include "lockstep/lockstep_kernels.h"

namespace lockstep::detail {

// Inside a catch block: notes the text of the exception for lockstep_last_error and gives its
// status.
LOCKSTEP_API lockstep_status fail_with_current_exception() noexcept;

inline void require_pointer(const char* function, const void* pointer) {
  require(pointer != nullptr, function, "a pointer is null");
}

// Runs `body` unless one of the pointers is null; no exception leaves.
template <class Body>
lockstep_status call(const char* function, std::initializer_list<const void*> pointers,
                     const Body& body) noexcept {
  try {
    for (const void* pointer : pointers) require_pointer(function, pointer);
    body();
    return LOCKSTEP_OK;
  } catch (...) {
    return fail_with_current_exception();
  }
}

// Makes a handle of what `make` returns; it is null if anything fails.
template <class Handle, class Make>
lockstep_status create(const char* function, Handle** handle,
                       std::initializer_list<const void*> pointers, const Make& make) noexcept {
  if (handle != nullptr) *handle = nullptr;
  return call(function, pointers, [&] {
    require_pointer(function, handle);
    *handle = new Handle{make()};  // NOLINT(bugprone-unhandled-exception-at-new): `call` catches
  });
}

}  // namespace lockstep::detail
