// What may end work that has given the interpreter's lock away.
#pragma once

#include <nanobind/nanobind.h>

#include <chrono>
#include <optional>
#include <utility>

#include "lockstep/rnn/model.h"

namespace lockstep::python {

namespace nb = nanobind;

// Signals, such as that of Ctrl-C, and what callbacks raise: the first is kept. Made and asked on
// one thread, which has the lock or has not.
class Interruption {
 public:
  // Whether there is one. Signals are looked at now and then.
  [[nodiscard]] bool is_there() {
    if (!failure_ && Clock::now() - last_signals_ >= kTimeBetweenSignals) look_at_signals();
    return failure_.has_value();
  }

  void look_at_signals() {
    last_signals_ = Clock::now();
    call([] {
      if (PyErr_CheckSignals() != 0) nb::raise_python_error();
      return true;
    });
  }

  // Calls `callback` with the lock, whether to go on. What it raises says no.
  template <class Callback>
  bool call(const Callback& callback) {
    const nb::gil_scoped_acquire gil;
    try {
      return callback();
    } catch (nb::python_error& error) {
      if (!failure_) failure_.emplace(std::move(error));
      return false;
    }
  }

  // What has been kept, if anything has. Called with the lock.
  void throw_failure() {
    if (failure_) throw nb::python_error(std::move(*failure_));
  }

  [[nodiscard]] IsInterrupted question() {
    return [this] { return is_there(); };
  }

 private:
  using Clock = std::chrono::steady_clock;

  static constexpr auto kTimeBetweenSignals = std::chrono::milliseconds(50);

  Clock::time_point last_signals_ = Clock::now();
  std::optional<nb::python_error> failure_;
};

// The result of `work`, which gets the question whether it is to end; what has ended it is thrown.
template <class Work>
auto interruptible(const Work& work) {
  Interruption interruption;
  try {
    return work(interruption.question());
  } catch (const Interrupted&) {
    interruption.throw_failure();
    throw;
  }
}

}  // namespace lockstep::python
