#include "data/class_key.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace lockstep {

std::string class_key(std::string_view name) {
  constexpr std::ptrdiff_t kExactDigits = 15;
  std::string_view text = name;
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (error != std::errc{} || stop != end || !std::isfinite(value) ||
      std::ranges::count_if(text, is_digit) > kExactDigits) {
    return std::string(name);
  }
  char shortest[32];
  // -0 is 0.
  return {shortest, std::to_chars(shortest, shortest + sizeof shortest, value + 0.0).ptr};
}

}  // namespace lockstep
