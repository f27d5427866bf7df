// What may end work that has given the interpreter's lock away.
#pragma once

#include <nanobind/nanobind.h>

#include <chrono>
#include <optional>
#include <utility>

#include "gil.h"

namespace lockstep::python {

namespace nb = nanobind;

// Signals, such as that of Ctrl-C, and what callbacks raise. Made and asked on one thread.
class Interruption {
 public:
  // Gives what `work` gives, done without the lock if so many multiply-adds are worth it. Throws
  // what `guarded` has kept meanwhile.
  template <class Work>
  auto watched(double multiply_adds, const Work& work) {
    auto result = without_lock(multiply_adds, work);
    if (failure_) throw nb::python_error(std::move(*failure_));
    return result;
  }

  // Whether signals have waited long enough.
  [[nodiscard]] bool is_due() const { return Clock::now() - last_signals_ >= kTimeBetweenSignals; }

  // Within `watched`: calls `work` with the lock, whether to go on; signals are looked at before,
  // if that is due. The first failure of either is kept, and says no.
  template <class Work>
  bool guarded(const Work& work) {
    const ReleaseGil::Pause gil(*released_);
    try {
      if (is_due()) look_at_signals();
      return work();
    } catch (nb::python_error& error) {
      if (!failure_) failure_.emplace(std::move(error));
      return false;
    }
  }

 private:
  using Clock = std::chrono::steady_clock;

  static constexpr auto kTimeBetweenSignals = std::chrono::milliseconds(50);

  template <class Work>
  auto without_lock(double multiply_adds, const Work& work) {
    const ReleaseGil release(multiply_adds);
    released_ = &release;
    return work();
  }

  void look_at_signals() {
    last_signals_ = Clock::now();
    if (PyErr_CheckSignals() != 0) nb::raise_python_error();
  }

  Clock::time_point last_signals_ = Clock::now();
  const ReleaseGil* released_ = nullptr;
  std::optional<nb::python_error> failure_;
};

}  // namespace lockstep::python
