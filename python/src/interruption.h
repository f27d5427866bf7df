// What may end work that has given the interpreter's lock away.
#pragma once

#include <nanobind/nanobind.h>

#include <chrono>
#include <optional>
#include <utility>

#include "gil.h"
#include "lockstep/rnn/model.h"

namespace lockstep::python {

namespace nb = nanobind;

// Signals, such as that of Ctrl-C, and what callbacks raise: the first is kept. Made and asked on
// one thread.
class Interruption {
 public:
  // Gives what `work` gives, done without the lock if so many multiply-adds are worth it. Throws
  // what has been kept meanwhile.
  template <class Work>
  auto watched(double multiply_adds, const Work& work) {
    auto result = [&] {
      try {
        return without_lock(multiply_adds, work);
      } catch (...) {  // Interrupted, or what went wrong after the failure
        throw_failure();
        throw;
      }
    }();
    throw_failure();
    return result;
  }

  // Within `watched`: whether there is one. Signals are looked at now and then.
  [[nodiscard]] bool is_there() {
    if (!failure_ && Clock::now() - last_signals_ >= kTimeBetweenSignals) look_at_signals();
    return failure_.has_value();
  }

  void look_at_signals() {
    last_signals_ = Clock::now();
    call([] {
      if (unless_ending([] { return PyErr_CheckSignals(); }) != 0) nb::raise_python_error();
      return true;
    });
  }

  // Within `watched`: calls `callback` with the lock and returns whether to go on. What it raises
  // says no.
  template <class Callback>
  bool call(const Callback& callback) {
    const ReleaseGil::Pause gil(*released_);
    try {
      return callback();
    } catch (nb::python_error& error) {
      if (!failure_) failure_.emplace(std::move(error));
      return false;
    }
  }

  [[nodiscard]] IsInterrupted question() {
    return [this] { return is_there(); };
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

  void throw_failure() {
    if (failure_) throw nb::python_error(std::move(*failure_));
  }

  Clock::time_point last_signals_ = Clock::now();
  const ReleaseGil* released_ = nullptr;
  std::optional<nb::python_error> failure_;
};

// The result of `work`, which gets the question whether it is to end; what has ended it is thrown.
template <class Work>
auto interruptible(double multiply_adds, const Work& work) {
  Interruption interruption;
  return interruption.watched(multiply_adds, [&] { return work(interruption.question()); });
}

}  // namespace lockstep::python
