#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "lockstep/rnn/options.h"

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

/// Accepts whole numbers in [low, high], written in decimal digits alone. For Option::transform: it
/// drops leading zeros, which CLI11 would read as the sign of octal digits.
[[nodiscard]] CLI::Validator whole_number(std::uint64_t low, std::uint64_t high);
/// Accepts finite numbers above 0.
[[nodiscard]] CLI::Validator positive();
/// Accepts the given words.
[[nodiscard]] CLI::Validator one_of(std::vector<std::string> words);

/// An option for a whole number in [low, high], where `high` fits an Integer.
template <class Integer>
CLI::Option* add_count(CLI::App& app, const std::string& flag, Integer& value, std::uint64_t low,
                       std::uint64_t high, const std::string& help) {
  return app.add_option(flag, value, help)
      ->transform(whole_number(low, high))
      ->capture_default_str();
}

/// The flag of an option of Options: "--learning-rate".
[[nodiscard]] std::string flag_of(std::string_view name);
/// Adds the flag that sets the option `name` of `options`, whose value there is the default.
void add_option(CLI::App& app, Options& options, std::string_view name);
/// The option --backend, which most verbs share.
void add_backend_option(CLI::App& app, std::string& backend);

/// Forces the named backend; an empty name leaves the choice to LOCKSTEP_BACKEND and the CPU.
/// Throws UsageError if the name, or the variable, will not do.
void select_backend(const std::string& name);

}  // namespace lockstep::command
