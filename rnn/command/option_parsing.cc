#include "option_parsing.h"

#include <algorithm>
#include <charconv>

#include "lockstep/backend.h"
#include "text.h"

namespace lockstep::command {
namespace {

CLI::Validator number_that(std::function<bool(double)> accepts, const std::string& expected) {
  const auto check = [accepts = std::move(accepts), expected](std::string& text) {
    double value = 0;
    if (CLI::detail::lexical_cast(text, value) && accepts(value)) return std::string();
    return "expected a number " + expected + ", found '" + text + "'";
  };
  return {check, ""};
}

std::string range_text(double low, double high) {
  return high >= kUnlimited ? format("from %.12g", low) : format("from %.12g to %.12g", low, high);
}

}  // namespace

CLI::Validator whole_number(std::uint64_t low, std::uint64_t high) {
  const auto check = [=](std::string& text) {
    std::uint64_t value = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc{} || stop != end || value < low || value > high) {
      return "expected a whole number from " + std::to_string(low) + " to " + std::to_string(high) +
             ", found '" + text + "'";
    }
    text = std::to_string(value);
    return std::string();
  };
  return {check, ""};
}

CLI::Validator in_range(double low, double high) {
  return number_that([=](double value) { return value >= low && value <= high; },
                     range_text(low, high));
}

CLI::Validator from_until(double low, double high) {
  return number_that([=](double value) { return value >= low && value < high; },
                     format("from %g to less than %g", low, high));
}

CLI::Validator between(double low, double high) {
  return number_that([=](double value) { return value > low && value < high; },
                     format("between %g and %g", low, high));
}

CLI::Validator positive() {
  return number_that([](double value) { return value > 0 && value <= kUnlimited; }, "above 0");
}

CLI::Validator one_of(std::vector<std::string> words) {
  const std::string list = join(words, ", ");
  const auto check = [words = std::move(words), list](std::string& text) {
    if (std::find(words.begin(), words.end(), text) != words.end()) return std::string();
    return "unknown '" + text + "', expected one of " + list;
  };
  return {check, "{" + list + "}"};
}

void add_threads_option(CLI::App& app, int& threads) {
  constexpr int kMost = 1024;  // far more than help, and few enough to start
  add_count(app, "--threads", threads, 0, kMost, "Threads; 0: as many CPUs as the process may use");
}

void add_backend_option(CLI::App& app, std::string& backend) {
  app.add_option("--backend", backend, "Force a backend; `lockstep info` lists them");
}

void select_backend(const std::string& name) {
  try {
    if (!name.empty()) set_backend(name);
    static_cast<void>(active_backend());
  } catch (const std::invalid_argument& error) {
    throw UsageError(error.what());
  }
}

}  // namespace lockstep::command
