#pragma once

namespace lockstep::command {

/// From now on the first SIGINT or SIGTERM is only noted, so that work can end in good order; a
/// second one kills the process at once. Signals that the parent process has set to be ignored stay
/// ignored, and a closed pipe is an error of the output and no signal.
void note_interrupts();

/// The signal that came, or 0.
[[nodiscard]] int noted_interrupt();

}  // namespace lockstep::command
