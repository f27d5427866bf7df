#include "data/date.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "data/text_file.h"

namespace lockstep::data_file {
namespace {

// Days since 1970-01-01 (H. Hinnant, chrono-compatible low-level date algorithms).
double days_from_civil(int year, int month, int day) {
  year -= month <= 2 ? 1 : 0;
  const int era = (year >= 0 ? year : year - 399) / 400;
  const int year_of_era = year - era * 400;
  const int day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  const int day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146097.0 + day_of_era - 719468.0;
}

// Takes a whole number of so many digits off a text.
bool take_digits(std::string_view& text, std::size_t digits, int& number) {
  if (text.size() < digits) return false;
  const auto value = from_text<int>(text.substr(0, digits));
  if (!value || *value < 0) return false;
  number = *value;
  text.remove_prefix(digits);
  return true;
}

bool take_sign(std::string_view& text, std::string_view signs) {
  if (text.empty() || signs.find(text[0]) == std::string_view::npos) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

std::optional<double> parse_date(std::string_view text) {
  text = trim(text);
  int year = 0;
  int month = 0;
  int day = 0;
  if (!take_digits(text, 4, year) || !take_sign(text, "-/") || !take_digits(text, 2, month) ||
      !take_sign(text, "-/") || !take_digits(text, 2, day)) {
    return std::nullopt;
  }
  constexpr std::array kDays = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  if (month < 1 || month > 12 || day < 1) return std::nullopt;
  if (day > kDays[static_cast<std::size_t>(month - 1)] || (day == 29 && month == 2 && !is_leap)) {
    return std::nullopt;
  }
  double seconds = days_from_civil(year, month, day) * 86400;
  if (text.empty()) return seconds;
  int hour = 0;
  int minute = 0;
  if (!take_sign(text, " T") || !take_digits(text, 2, hour) || !take_sign(text, ":") ||
      !take_digits(text, 2, minute)) {
    return std::nullopt;
  }
  if (hour > 24 || minute > 59) return std::nullopt;
  seconds += hour * 3600.0 + minute * 60.0;
  if (take_sign(text, ":")) {
    const std::size_t end = std::min(text.find_first_not_of("0123456789."), text.size());
    const std::optional<double> second = parse_number(text.substr(0, end));
    if (!second || *second >= 61) return std::nullopt;
    seconds += *second;
    text.remove_prefix(end);
  }
  if (text.empty() || text == "Z") return seconds;
  const double sign = text[0] == '-' ? -1 : 1;
  if (!take_sign(text, "+-") || !take_digits(text, 2, hour)) return std::nullopt;
  take_sign(text, ":");
  if (!take_digits(text, 2, minute) || !text.empty()) return std::nullopt;
  return seconds - sign * (hour * 3600.0 + minute * 60.0);
}

}  // namespace lockstep::data_file
