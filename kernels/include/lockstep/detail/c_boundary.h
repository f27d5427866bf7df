// How the C functions of both libraries end. Not installed.
#pragma once

#include <string>

#include "lockstep/error.h"
#include "lockstep/lockstep_kernels.h"

namespace lockstep::detail {

// Inside a catch block: notes the text of the exception for lockstep_last_error and gives its
// status.
LOCKSTEP_API lockstep_status fail_with_current_exception() noexcept;

template <class... Pointers>
void require_pointers(const char* function, const Pointers*... pointers) {
  if ((... && (pointers != nullptr))) return;
  throw InvalidArgument(std::string(function) + ": a pointer is null");
}

// Runs `body`; no exception leaves.
template <class Body>
lockstep_status c_call(const Body& body) noexcept {
  try {
    body();
    return LOCKSTEP_OK;
  } catch (...) {
    return fail_with_current_exception();
  }
}

}  // namespace lockstep::detail
