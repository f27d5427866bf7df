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
