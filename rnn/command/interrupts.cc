#include "interrupts.h"

#include <atomic>
#include <csignal>

namespace lockstep::command {
namespace {

std::atomic<int> g_noted_signal = 0;
static_assert(std::atomic<int>::is_always_lock_free);  // or a handler may not touch it

void handle_with(void (*handler)(int)) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    if (std::signal(signal, handler) == SIG_IGN) std::signal(signal, SIG_IGN);
  }
}

void note(int signal) {
  g_noted_signal = signal;
  handle_with(SIG_DFL);
}

}  // namespace

NotedInterrupts::NotedInterrupts() { handle_with(note); }
NotedInterrupts::~NotedInterrupts() { handle_with(SIG_DFL); }

int noted_signal() { return g_noted_signal; }

const char* signal_name(int signal) {
  return signal == SIGINT ? "SIGINT" : signal == SIGTERM ? "SIGTERM" : "SIGHUP";
}

}  // namespace lockstep::command
