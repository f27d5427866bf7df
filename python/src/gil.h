// The interpreter's lock around work of the library.
#pragma once

#include <nanobind/nanobind.h>

#include <optional>

namespace lockstep::python {

// While it lives other threads of Python run, if it is worth it: to give the lock away and to wait
// for it again takes longer than a small piece of work.
class ReleaseGil {
 public:
  // `work`: multiply-adds, about.
  explicit ReleaseGil(double work) {
    if (work >= kWorthwhile) released_.emplace();
  }

 private:
  static constexpr double kWorthwhile = 1e6;
  std::optional<nanobind::gil_scoped_release> released_;
};

}  // namespace lockstep::python
