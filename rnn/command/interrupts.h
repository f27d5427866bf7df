#pragma once

namespace lockstep::command {

/// As long as this lives, the first SIGINT, SIGTERM or SIGHUP is only noted, so that work can end
/// in good order; a second one kills the process at once. Signals that the parent process has set
/// to be ignored stay ignored.
struct NotedInterrupts {
  NotedInterrupts();
  ~NotedInterrupts();
  NotedInterrupts(const NotedInterrupts&) = delete;
  NotedInterrupts& operator=(const NotedInterrupts&) = delete;
};

/// The signal that was noted, or 0. Any thread may ask.
[[nodiscard]] int noted_signal();

/// "SIGINT", "SIGTERM" or "SIGHUP".
[[nodiscard]] const char* signal_name(int signal);

}  // namespace lockstep::command
