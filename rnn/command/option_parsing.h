#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace lockstep::command {

/// A command line that asks for something impossible. what() is one sentence.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A verb of the command: its part of the command line, and what runs once that is parsed. `run`
/// returns the exit code.
struct Verb {
  CLI::App* app = nullptr;
  std::function<int()> run;
};

/// As an upper bound: any finite number.
inline constexpr double kUnlimited = std::numeric_limits<double>::max();

/// As an upper bound: any whole number that 64 bits hold.
inline constexpr std::uint64_t kUnlimitedCount = std::numeric_limits<std::uint64_t>::max();

/// Accepts whole numbers in [low, high], written in decimal digits alone. For Option::transform: it
/// drops leading zeros, which CLI11 would read as the sign of octal digits.
[[nodiscard]] CLI::Validator whole_number(std::uint64_t low, std::uint64_t high);
/// Accepts the numbers in [low, high]; NaN is in no range.
[[nodiscard]] CLI::Validator in_range(double low, double high);
/// Accepts the numbers in [low, high) and in (low, high), with finite bounds.
[[nodiscard]] CLI::Validator from_until(double low, double high);
[[nodiscard]] CLI::Validator between(double low, double high);
/// Accepts finite numbers above 0.
[[nodiscard]] CLI::Validator positive();
/// Accepts the given words.
[[nodiscard]] CLI::Validator one_of(std::vector<std::string> words);

template <class Enum>
using Choices = std::vector<std::pair<std::string, Enum>>;

/// The word that stands for a value of an enumeration.
template <class Enum>
std::string choice_name(const Choices<Enum>& choices, Enum value) {
  for (const auto& [name, choice] : choices) {
    if (choice == value) return name;
  }
  throw std::logic_error("a value without a name");
}

/// An option that sets `value` by one of the words of `choices`.
template <class Enum>
CLI::Option* add_choice(CLI::App& app, const std::string& flag, Enum& value,
                        const Choices<Enum>& choices, const std::string& help) {
  std::vector<std::string> words;
  for (const auto& choice : choices) words.push_back(choice.first);
  const auto assign = [&value, choices](const std::string& word) {
    for (const auto& [name, choice] : choices) {
      if (name == word) value = choice;
    }
  };
  return app.add_option_function<std::string>(flag, assign, help)
      ->check(one_of(words))
      ->default_str(choice_name(choices, value));
}

/// An option for a whole number in [low, high], where `high` fits an Integer.
template <class Integer>
CLI::Option* add_count(CLI::App& app, const std::string& flag, Integer& value, std::uint64_t low,
                       std::uint64_t high, const std::string& help) {
  return app.add_option(flag, value, help)
      ->transform(whole_number(low, high))
      ->capture_default_str();
}

/// The options --threads and --backend, which most verbs share.
void add_threads_option(CLI::App& app, int& threads);
void add_backend_option(CLI::App& app, std::string& backend);

/// Forces the named backend; an empty name leaves the choice to LOCKSTEP_BACKEND and the CPU.
/// Throws UsageError if the name, or the variable, will not do.
void select_backend(const std::string& name);

}  // namespace lockstep::command
