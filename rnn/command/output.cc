#include "output.h"

#include <cerrno>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <system_error>

#include "files/atomic_file.h"

namespace lockstep::command {
namespace {

[[noreturn]] void throw_output_error() {
  throw std::system_error(errno, std::generic_category(), "cannot write to standard output");
}

}  // namespace

void print(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) throw_output_error();
}

void flush_output() {
  if (std::fflush(stdout) != 0) throw_output_error();
}

void require_writable(const std::filesystem::path& path, std::string_view role) {
  try {
    require_replaceable(path);
  } catch (const std::runtime_error& error) {
    throw std::runtime_error("cannot write the " + std::string(role) + " '" + path.string() +
                             "': " + error.what());
  }
}

bool is_same_file(const std::filesystem::path& a, const std::filesystem::path& b) {
  if (a.empty() || b.empty()) return false;
  std::error_code error;
  if (std::filesystem::equivalent(a, b, error)) return true;
  const auto canonical = std::filesystem::weakly_canonical(a, error);
  return !error && canonical == std::filesystem::weakly_canonical(b, error);
}

}  // namespace lockstep::command
