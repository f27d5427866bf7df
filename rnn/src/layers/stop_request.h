// Whether the caller of long work wants it to end.
#pragma once

#include <atomic>

#include "lockstep/rnn/trainer.h"
#include "lockstep/threads.h"

namespace lockstep {

// Asked where the threads of a team may leave their work. Thread 0, that of the caller, passes the
// question on; once the answer is yes it stays so.
class StopRequest {
 public:
  // `is_interrupted` may be empty, and must outlive this.
  explicit StopRequest(const IsInterrupted& is_interrupted) : is_interrupted_(is_interrupted) {}

  // For a thread that leaves alone.
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
  [[nodiscard]] bool has_come() const { return has_come_.load(std::memory_order_relaxed); }

 private:
  void ask(const Team& team) {
    if (is_interrupted_ && team.index() == 0 && is_interrupted_()) {
      has_come_.store(true, std::memory_order_relaxed);
    }
  }

  const IsInterrupted& is_interrupted_;
  std::atomic<bool> has_come_ = false;
};

}  // namespace lockstep
