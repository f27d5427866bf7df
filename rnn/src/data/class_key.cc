#include "data/class_key.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace lockstep {

namespace {

// Without zeros in front of and behind the others, and without the exponent.
std::size_t significant_digits(std::string_view number) {
  std::string digits;
  for (const char c : number.substr(0, number.find_first_of("eE"))) {
    if (c >= '0' && c <= '9' && (c != '0' || !digits.empty())) digits += c;
  }
  return digits.find_last_not_of('0') + 1;
}

}  // namespace

std::string class_key(std::string_view name) {
  constexpr std::size_t kExactDigits = 15;
  std::string_view text = name;
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  const auto [stop, error] = std::from_chars(begin, end, value);
  if (error != std::errc{} || stop != end || !std::isfinite(value) ||
      significant_digits(text) > kExactDigits) {
    return std::string(name);
  }
  char shortest[32];
  // -0 is 0.
  return {shortest, std::to_chars(shortest, shortest + sizeof shortest, value + 0.0).ptr};
}

}  // namespace lockstep
