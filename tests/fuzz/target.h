// What the fuzzers and the ordinary suite do with bytes that may come from anyone: one target for
// each reader.
#pragma once

#include <cstddef>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

namespace lockstep::fuzz {

// What no input of up to kLongestInput bytes may do. Nothing in Lockstep catches it.
class Defect : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

inline constexpr std::size_t kLongestInput = 64 << 10;
inline constexpr std::size_t kMemoryBound = 64 << 20;  // of a reader, beyond the program's own

struct Target {
  std::string_view name;
  // Reads the input and uses what was read; false if the reader refuses it, by an error of its own
  // kind. Throws Defect, or whatever else the reader threw.
  bool (*try_input)(std::string_view input);
};

[[nodiscard]] std::span<const Target> targets();
// Throws std::invalid_argument.
[[nodiscard]] const Target& find_target(std::string_view name);

bool try_data_file(std::string_view input, const std::string& format);
bool try_model(std::string_view input);
bool try_checkpoint(std::string_view input);

}  // namespace lockstep::fuzz
