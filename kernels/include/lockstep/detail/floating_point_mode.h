// Not installed.
#pragma once

#include "lockstep/export.h"

namespace lockstep::detail {

// The control word of this thread's floating-point unit: rounding, flushing of denormals.
[[nodiscard]] LOCKSTEP_API unsigned long long floating_point_mode();
LOCKSTEP_API void set_floating_point_mode(unsigned long long mode);

// Another mode while it lives.
class FloatingPointScope {
 public:
  explicit FloatingPointScope(unsigned long long mode) : saved_(floating_point_mode()) {
    set_floating_point_mode(mode);
  }
  ~FloatingPointScope() { set_floating_point_mode(saved_); }
  FloatingPointScope(const FloatingPointScope&) = delete;
  FloatingPointScope& operator=(const FloatingPointScope&) = delete;

 private:
  unsigned long long saved_;
};

}  // namespace lockstep::detail
