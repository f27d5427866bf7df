#include "files/input_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <stdexcept>

#include "files/system_call.h"

namespace lockstep {

InputFile::InputFile(const std::filesystem::path& path)
    : descriptor_(uninterrupted([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC); })) {
  if (descriptor_ < 0) throw_error(errno, "it cannot be opened for reading");
  is_own_ = true;
}

InputFile::~InputFile() {
  if (is_own_) ::close(descriptor_);
}

std::size_t InputFile::read(char* to, std::size_t count) const {
  const auto done = uninterrupted([&] { return ::read(descriptor_, to, count); });
  if (done < 0) throw_error(errno, "reading it failed");
  return static_cast<std::size_t>(done);
}

std::string InputFile::read_at(std::uint64_t at, std::uint64_t count) const {
  if (is_memory_) {
    if (at > bytes_.size() || count > bytes_.size() - at) {
      throw std::runtime_error("it is truncated");
    }
    return std::string(bytes_.substr(at, count));
  }
  std::string bytes(count, '\0');
  for (std::size_t done = 0; done < count;) {
    const auto more = uninterrupted([&] {
      return ::pread(descriptor_, bytes.data() + done, bytes.size() - done,
                     static_cast<off_t>(at + done));
    });
    if (more < 0) throw_error(errno, "reading it failed");
    if (more == 0) throw std::runtime_error("reading it failed: it has become shorter");
    done += static_cast<std::size_t>(more);
  }
  return bytes;
}

}  // namespace lockstep
