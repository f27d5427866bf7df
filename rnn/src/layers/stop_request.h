// Whether the caller of long work wants it to end.
#pragma once

#include <atomic>
#include <exception>

#include "lockstep/detail/floating_point_mode.h"
#include "lockstep/rnn/trainer.h"
#include "lockstep/threads.h"

namespace lockstep {

// Asked where the threads of the whole team of a call may leave their work. Thread 0, that of the
// caller, passes the question on, in the floating-point mode of the caller; a yes stays.
class StopRequest {
 public:
  // Made by the caller. `is_interrupted` may be empty, and must outlive this.
  explicit StopRequest(const IsInterrupted& is_interrupted) : is_interrupted_(is_interrupted) {}

  // For a thread that leaves by itself: others may still get a no, and must hear of it by has_come
  // behind a barrier.
  [[nodiscard]] bool is_there(const Team& team) {
    ask(team);
    return has_come();
  }
  // The same answer for all threads of the team, which call this together. Before the next call
  // there must be a barrier.
  [[nodiscard]] bool is_there_for_all(const Team& team) {
    if (!is_interrupted_) return false;
    ask(team);
    team.barrier();
    return has_come();
  }
  // Whether the question has thrown; for the caller.
  [[nodiscard]] bool has_failed() const { return failure_ != nullptr; }
  [[nodiscard]] bool has_come() const { return has_come_.load(std::memory_order_relaxed); }

  // For the caller, once the team is done: throws what the question has thrown.
  void rethrow() const {
    if (failure_ != nullptr) std::rethrow_exception(failure_);
  }

 private:
  // Throws nothing: a thread that left so would keep the others waiting.
  void ask(const Team& team) {
    if (!is_interrupted_ || team.index() != 0 || has_come()) return;
    try {
      const detail::FloatingPointScope scope(mode_);
      if (!is_interrupted_()) return;
    } catch (...) {
      failure_ = std::current_exception();
    }
    has_come_.store(true, std::memory_order_relaxed);
  }

  const IsInterrupted& is_interrupted_;
  unsigned long long mode_ = detail::floating_point_mode();
  std::exception_ptr failure_;
  std::atomic<bool> has_come_ = false;
};

}  // namespace lockstep
