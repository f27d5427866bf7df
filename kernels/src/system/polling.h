#pragma once

#include <atomic>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace lockstep {

// A busy-wait hint to the core.
inline void pause() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

// Waits until `value` is no longer `old`: awake for a number of polls, then asleep, so that a busy
// machine runs the threads that it waits for.
inline void wait_for_change(const std::atomic<unsigned>& value, unsigned old, int polls) {
  for (int i = 0; i < polls; ++i) {
    if (value.load(std::memory_order_acquire) != old) return;
    pause();
  }
  value.wait(old, std::memory_order_acquire);
}

}  // namespace lockstep
