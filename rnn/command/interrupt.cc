#include "interrupt.h"

#include <csignal>

namespace lockstep::command {
namespace {

volatile std::sig_atomic_t noted_signal = 0;

void restore_default(int signal) {
  if (std::signal(signal, SIG_DFL) == SIG_IGN) std::signal(signal, SIG_IGN);
}

void restore_defaults() {
  restore_default(SIGINT);
  restore_default(SIGTERM);
}

void note(int signal) {
  noted_signal = signal;
  restore_defaults();
}

void install(int signal) {
  if (std::signal(signal, note) == SIG_IGN) std::signal(signal, SIG_IGN);
}

}  // namespace

InterruptHandler::InterruptHandler() {
  noted_signal = 0;
  install(SIGINT);
  install(SIGTERM);
  std::signal(SIGPIPE, SIG_IGN);
}

InterruptHandler::~InterruptHandler() { restore_defaults(); }

int InterruptHandler::signal() const { return noted_signal; }

}  // namespace lockstep::command
