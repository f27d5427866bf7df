#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

#include "commands.h"
#include "lockstep/rnn/builtin_data.h"

namespace lockstep::command {

/// Forces the named backend; an empty name leaves the choice to LOCKSTEP_BACKEND and the CPU.
/// Throws UsageError if the name, or the variable, will not do.
void select_backend(const std::string& name);

/// Of all built-in data sets: they stay what they are while --seed varies.
inline constexpr std::uint64_t kBuiltinSeed = 1;
/// Reads the file, or makes the built-in set's test part. Throws DataError.
/// With targets for a head, by its name, or "auto": as the file says.
[[nodiscard]] Dataset load_data(const DataSource& source, const std::string& head = "auto");
/// Whatever targets there are.
[[nodiscard]] Dataset load_sequences(const DataSource& source);
[[nodiscard]] std::optional<TargetKind> targets_for(const std::string& head);

/// Does work; the sentence about an Error in it begins with `name`: by default of data that do not
/// fit.
template <class Error = std::invalid_argument, class Work>
auto about(const std::string& name, const Work& work) {
  try {
    return work();
  } catch (const Error& error) {
    throw std::runtime_error(name + ": " + error.what());
  }
}

}  // namespace lockstep::command
