// Calls of the system and their errors.
#pragma once

#include <cerrno>
#include <new>
#include <system_error>

namespace lockstep {

// The result of `call`, which is repeated as long as a signal ends it.
template <class Call>
auto uninterrupted(const Call& call) {
  for (;;) {
    const auto result = call();
    if (result >= 0 || errno != EINTR) return result;
  }
}

// For what a call that failed has left in errno.
[[noreturn]] inline void throw_error(int error, const char* action) {
  if (error == ENOMEM) throw std::bad_alloc();
  throw std::system_error(error, std::generic_category(), action);
}

}  // namespace lockstep
