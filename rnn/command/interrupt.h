#pragma once

namespace lockstep::command {

/// While it lives, the first SIGINT or SIGTERM is only noted, so that work can end in good order; a
/// second one kills the process at once. Signals that the parent process has set to be ignored stay
/// ignored. From then on a closed pipe is an error of the output and no signal. One at a time.
class InterruptHandler {
 public:
  InterruptHandler();
  ~InterruptHandler();
  InterruptHandler(const InterruptHandler&) = delete;
  InterruptHandler& operator=(const InterruptHandler&) = delete;

  /// The signal that came, or 0.
  [[nodiscard]] int signal() const;
};

}  // namespace lockstep::command
