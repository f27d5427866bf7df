#pragma once

// Catch2 2.13 and 3 under the names of version 3.

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;
using Catch::Matchers::ContainsSubstring;
#else
#include <catch2/catch.hpp>
// NOLINTNEXTLINE(readability-identifier-naming): the name is that of Catch2 3
inline auto ContainsSubstring(const std::string& text) { return Catch::Matchers::Contains(text); }
#endif

namespace lockstep {
inline int skipped_cases = 0;
}

// Ends a test case that can say nothing here; `why` may be streamed. See exit_status.cc.
#define LOCKSTEP_SKIP(why)        \
  do {                            \
    ++lockstep::skipped_cases;    \
    WARN("skipped: " << why);     \
    SUCCEED(); /* an assertion */ \
    return;                       \
  } while (false)
