#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace lockstep {

/// A file that is read. Signals do not end its calls; where they fail for want of memory they throw
/// std::bad_alloc.
class InputFile {
 public:
  /// Of standard input, which stays open.
  InputFile() = default;
  /// Throws std::system_error if it cannot be opened.
  explicit InputFile(const std::filesystem::path& path);
  /// Of what would be a file, in memory that must live as long.
  explicit InputFile(std::string_view bytes) : bytes_(bytes), is_memory_(true) {}
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  /// The next bytes, at most `count`; how many, 0 at the end. Not of memory. Throws
  /// std::system_error.
  [[nodiscard]] std::size_t read(char* to, std::size_t count) const;
  /// `count` bytes from `at` on. Throws std::runtime_error, too if there are fewer.
  [[nodiscard]] std::string read_at(std::uint64_t at, std::uint64_t count) const;

 private:
  int descriptor_ = 0;
  bool is_own_ = false;
  std::string_view bytes_;
  bool is_memory_ = false;
};

}  // namespace lockstep
