// The two values of a tuning constant. Not installed.
#pragma once

namespace lockstep {

// The first value, or in a build with LOCKSTEP_ODD_TUNING the second. Both must be legal: a test
// compares the results of the two builds bit by bit.
template <class T>
consteval T tuned(T normal, [[maybe_unused]] T odd) {
#if LOCKSTEP_ODD_TUNING
  return static_cast<void>(normal), odd;
#else
  return normal;
#endif
}

}  // namespace lockstep
