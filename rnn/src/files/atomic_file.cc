#include "files/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

namespace lockstep {
namespace {

[[noreturn]] void throw_errno(const std::string& action) {
  throw std::system_error(errno, std::generic_category(), action);
}

std::filesystem::path directory_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : ".";
}

// A file that disappears again unless it is renamed.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::filesystem::path& directory) {
    static std::atomic<unsigned> counter{0};
    do {
      path_ = directory / (".lockstep-" + std::to_string(::getpid()) + "-" +
                           std::to_string(counter.fetch_add(1)) + ".tmp");
      descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    } while (descriptor_ < 0 && errno == EEXIST);
    if (descriptor_ < 0) {
      throw_errno("cannot create a file in directory '" + directory.string() + "'");
    }
  }
  ~TemporaryFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  void set_permissions(std::filesystem::perms permissions) {
    std::filesystem::permissions(path_, permissions);
  }

  void write(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
      if (written >= 0) {
        bytes.remove_prefix(static_cast<std::size_t>(written));
      } else if (errno != EINTR) {
        throw_errno("cannot write");
      }
    }
  }

  void flush_and_close() {
    if (::fsync(descriptor_) != 0) throw_errno("cannot flush to disk");
    if (::close(std::exchange(descriptor_, -1)) != 0) throw_errno("cannot close");
  }

  void rename_to(const std::filesystem::path& path) {
    if (std::rename(path_.c_str(), path.c_str()) != 0) throw_errno("cannot rename into place");
    path_.clear();
  }

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
};

// The file is whole with or without this; only whether the rename outlives a power cut is at stake,
// and some file systems cannot flush a directory. So a failure is no error.
void flush_directory(const std::filesystem::path& directory) {
  const int descriptor = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return;
  ::fsync(descriptor);
  ::close(descriptor);
}

// What is at `path`: a regular file or nothing. A rename would replace a device such as /dev/null.
std::filesystem::file_status replaceable_status(const std::filesystem::path& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::status_known(status)) throw std::system_error(error);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    throw std::runtime_error("there is something other than a regular file");
  }
  return status;
}

}  // namespace

void require_replaceable(const std::filesystem::path& path) {
  replaceable_status(path);
  const TemporaryFile probe(directory_of(path));
}

std::filesystem::path previous_of(const std::filesystem::path& path) {
  std::filesystem::path previous = path;
  previous += ".previous";
  return previous;
}

namespace {

// Gives the file at `path` a further name, so that there is one at `path` all the time.
void keep_previous(const std::filesystem::path& path) {
  const std::filesystem::path previous = previous_of(path);
  replaceable_status(previous);
  std::filesystem::path link = previous;
  link += ".new";
  std::error_code error;
  std::filesystem::remove(link, error);
  std::filesystem::create_hard_link(path, link, error);
  // Some file systems have no links.
  if (error) std::filesystem::copy_file(path, link);
  std::filesystem::rename(link, previous);
  // Two names of one file are not renamed but left.
  std::filesystem::remove(link, error);
}

}  // namespace

void write_file_atomically(const std::filesystem::path& path, std::string_view bytes,
                           Replaced replaced) {
  const auto status = replaceable_status(path);
  const std::filesystem::path directory = directory_of(path);
  TemporaryFile file(directory);
  if (std::filesystem::exists(status)) file.set_permissions(status.permissions());
  file.write(bytes);
  file.flush_and_close();
  if (replaced == Replaced::kept && std::filesystem::exists(status)) keep_previous(path);
  file.rename_to(path);
  flush_directory(directory);
}

}  // namespace lockstep
