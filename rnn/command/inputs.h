#pragma once

#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>

#include "commands.h"
#include "lockstep/rnn/builtin_data.h"

namespace lockstep::command {

/// Forces the named backend; an empty name leaves the choice to LOCKSTEP_BACKEND and the CPU.
/// Throws UsageError if the name, LOCKSTEP_BACKEND, LOCKSTEP_THREADING or LOCKSTEP_CACHES will not
/// do.
void select_backend(const std::string& name);

/// Of all built-in data sets: they stay what they are while --seed varies.
inline constexpr std::uint64_t kBuiltinSeed = 1;

/// Sequences, and what there is to say of how they were read.
struct LoadedData {
  Dataset data;
  std::vector<std::string> notes{};
  std::vector<std::filesystem::path> files{};  ///< that were read
};

/// Reads a file; says on standard error what was read, unless `quiet`, and what was not as usual.
/// Throws DataError.
[[nodiscard]] LoadedData load_file(const std::string& path, const ReadOptions& options,
                                   bool quiet = false);
/// The same of the file of a source, or makes the built-in set's test part.
[[nodiscard]] LoadedData load_data(const DataSource& source, const ReadOptions& options);
/// How a head, by its name, needs its data read; "auto": as the file says.
[[nodiscard]] ReadOptions reading_for(const DataSource& source, const std::string& head);
/// The kind of targets of a head; none of "auto".
[[nodiscard]] std::optional<TargetKind> targets_for(const std::string& head);

/// All bytes of a file. Throws std::system_error.
[[nodiscard]] std::string read_bytes(const std::filesystem::path& path);

/// Sizes, channels, targets: "40 sequences of 7 to 29 timesteps, 2 channels (x, y), 3 classes ...".
[[nodiscard]] std::string data_text(const Dataset& data, bool with_targets);

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
