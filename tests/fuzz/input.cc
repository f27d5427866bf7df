#include "fuzz/input.h"

#include <sys/mman.h>
#include <unistd.h>

#include <stdexcept>

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

std::size_t& most_memory() {
  static std::size_t most = 0;
  return most;
}

}  // namespace lockstep::fuzz
