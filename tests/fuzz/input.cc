#include "fuzz/input.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>

#include "data/text_file.h"

namespace lockstep::fuzz {

MemoryFile::MemoryFile(std::string_view bytes)
    : descriptor_(::memfd_create("lockstep-fuzz", MFD_CLOEXEC)),
      path_("/proc/self/fd/" + std::to_string(descriptor_)) {
  while (descriptor_ >= 0 && !bytes.empty()) {
    const auto written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written <= 0) break;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  if (descriptor_ < 0 || !bytes.empty()) throw std::runtime_error("cannot make a file in memory");
}

MemoryFile::~MemoryFile() { ::close(descriptor_); }

void require_message(const std::exception& error, const std::string& start) {
  const std::string_view text = error.what();
  const auto is_control = [](unsigned char c) { return c < 0x20 || c == 0x7f; };
  constexpr std::size_t kLongest = 2048;
  const bool is_line =
      text.size() <= kLongest && data_file::is_utf8(text) && std::ranges::none_of(text, is_control);
  require(text.starts_with(start) && is_line,
          "an error has a message that is no line: " + std::string(text));
}

std::size_t& most_memory() {
  static std::size_t most = 0;
  return most;
}

}  // namespace lockstep::fuzz
