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

/// Each adds one verb to the command.
Verb add_train(CLI::App& command);
Verb add_evaluate(CLI::App& command);
Verb add_predict(CLI::App& command);
Verb add_info(CLI::App& command);
Verb add_gradcheck(CLI::App& command);

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
