// The interpreter's lock around work of the library.
#pragma once

#include <Python.h>
#include <cxxabi.h>

#include <chrono>
#include <limits>
#include <thread>

namespace lockstep::python {

// Calls `python`, which may wait for the lock. Where the interpreter is ending, Python before 3.14
// unwinds the stack of a thread that waits, and C++ would abort: the thread sleeps instead, as
// later versions let it, until the process has ended. `python` is C alone, without destructors.
template <class Python>
auto unless_ending(const Python& python) {
  try {
    return python();
  } catch (const abi::__forced_unwind&) {
    for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
  }
}

// While it lives other threads of Python run, if it is worth it: to give the lock away and to wait
// for it again takes longer than a small piece of work.
class ReleaseGil {
 public:
  // `work`: multiply-adds, about.
  explicit ReleaseGil(double work = std::numeric_limits<double>::infinity())
      : thread_(work >= kWorthwhile ? PyEval_SaveThread() : nullptr) {}
  ~ReleaseGil() { take_back(); }
  ReleaseGil(const ReleaseGil&) = delete;
  ReleaseGil& operator=(const ReleaseGil&) = delete;

  // The lock again, for as long as this lives, on the same thread.
  class Pause {
   public:
    explicit Pause(const ReleaseGil& release) : release_(release) { release_.take_back(); }
    ~Pause() {
      if (release_.thread_ != nullptr) PyEval_SaveThread();
    }
    Pause(const Pause&) = delete;
    Pause& operator=(const Pause&) = delete;

   private:
    const ReleaseGil& release_;
  };

 private:
  static constexpr double kWorthwhile = 1e6;

  void take_back() const {
    if (thread_ == nullptr) return;
    unless_ending([this] { PyEval_RestoreThread(thread_); });
  }

  PyThreadState* thread_;
};

// The lock on a thread that may have it or not.
class AcquireGil {
 public:
  AcquireGil() : state_(unless_ending([] { return PyGILState_Ensure(); })) {}
  ~AcquireGil() { PyGILState_Release(state_); }
  AcquireGil(const AcquireGil&) = delete;
  AcquireGil& operator=(const AcquireGil&) = delete;

 private:
  PyGILState_STATE state_;
};

}  // namespace lockstep::python
