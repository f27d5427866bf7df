#include "interrupt.h"

#include <csignal>
#include <initializer_list>

namespace lockstep::command {
namespace {

volatile std::sig_atomic_t noted_signal = 0;

void handle_with(void (*handler)(int)) {
  for (const int signal : {SIGINT, SIGTERM}) {
    if (std::signal(signal, handler) == SIG_IGN) std::signal(signal, SIG_IGN);
  }
}

void note(int signal) {
  noted_signal = signal;
  handle_with(SIG_DFL);
}

}  // namespace

void note_interrupts() {
  handle_with(note);
  std::signal(SIGPIPE, SIG_IGN);
}

int noted_interrupt() { return noted_signal; }

}  // namespace lockstep::command
