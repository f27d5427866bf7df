#include "files/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include "files/system_call.h"

namespace lockstep {
namespace {

std::filesystem::path directory_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : ".";
}

void write_all(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto written =
        uninterrupted([&] { return ::write(descriptor, bytes.data(), bytes.size()); });
    if (written < 0) throw_error(errno, "cannot write");
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

void flush_all(int descriptor) {
  if (uninterrupted([&] { return ::fsync(descriptor); }) != 0) {
    throw_error(errno, "cannot flush to disk");
  }
}

// After a signal too a descriptor is closed.
void close_all(int descriptor) {
  if (::close(descriptor) != 0 && errno != EINTR) throw_error(errno, "cannot close");
}

int open_file(const std::filesystem::path& path, int flags) {
  return uninterrupted([&] { return ::open(path.c_str(), flags | O_CLOEXEC, 0666); });
}

// A file that disappears again unless it is renamed. Where the system can, it has no name until
// then, so that not even SIGKILL leaves it behind.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::filesystem::path& directory) : directory_(directory) {
    constexpr const char* kNames = "/proc/self/fd";
    if (::access(kNames, X_OK) == 0) descriptor_ = open_file(directory, O_WRONLY | O_TMPFILE);
    while (descriptor_ < 0) {
      std::filesystem::path path = new_name();
      descriptor_ = open_file(path, O_WRONLY | O_CREAT | O_EXCL);
      const int error = errno;
      if (descriptor_ >= 0) path_ = std::move(path);
      if (descriptor_ < 0 && error != EEXIST) {
        const std::string action = "cannot create a file in directory '" + directory.string() + "'";
        throw_error(error, action.c_str());
      }
    }
  }
  ~TemporaryFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  void set_permissions(std::filesystem::perms permissions) const {
    if (::fchmod(descriptor_, static_cast<mode_t>(permissions)) != 0) {
      throw_error(errno, "cannot set permissions");
    }
  }

  void write(std::string_view bytes) const { write_all(descriptor_, bytes); }

  void flush() const { flush_all(descriptor_); }

  // False where `path` is in use as itself: the root of a mount.
  [[nodiscard]] bool rename_to(const std::filesystem::path& path) {
    name_and_close();
    if (std::rename(path_.c_str(), path.c_str()) == 0) {
      path_.clear();
      return true;
    }
    const int number = errno;
    if (number == EBUSY || number == EXDEV) return false;
    if (number == ENOMEM) throw std::bad_alloc();
    const std::system_error error(
        number, std::generic_category(),
        "cannot rename into place; what was written stays in '" + path_.string() + "'");
    path_.clear();  // only where there is an error that names it
    throw error;    // NOLINT(misc-throw-by-value-catch-by-reference): it was made before
  }

 private:
  void name_and_close() {
    const std::string self = "/proc/self/fd/" + std::to_string(descriptor_);
    while (path_.empty()) {
      std::filesystem::path path = new_name();
      const int failed =
          ::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW);
      if (failed == 0) path_ = std::move(path);
      if (failed != 0 && errno != EEXIST) throw_error(errno, "cannot name what was written");
    }
    close_all(std::exchange(descriptor_, -1));
  }
  [[nodiscard]] std::filesystem::path new_name() const {
    static std::atomic<unsigned> counter{0};
    return directory_ / (".lockstep-" + std::to_string(::getpid()) + "-" +
                         std::to_string(counter.fetch_add(1)) + ".tmp");
  }

  std::filesystem::path directory_;
  std::filesystem::path path_;  // empty as long as it has no name
  int descriptor_ = -1;
};

// The file is whole with or without this; only whether the rename outlives a power cut is at stake,
// and some file systems cannot flush a directory. So a failure is no error.
void flush_directory(const std::filesystem::path& directory) {
  const int descriptor = open_file(directory, O_RDONLY | O_DIRECTORY);
  if (descriptor < 0) return;
  ::fsync(descriptor);
  ::close(descriptor);
}

// What a path means behind all links; there may be nothing yet. Streams of this or another process,
// such as /dev/stdout and /dev/fd/3, are links into /proc: what they lead to is not a name.
std::filesystem::path resolved(std::filesystem::path path) {
  constexpr int kMostLinks = 40;
  if (path == "-") throw std::runtime_error("'-' is no file name here; './-' is one");
  for (int links = 0; std::filesystem::is_symlink(path); ++links) {
    if (links == kMostLinks) throw std::runtime_error("there are too many links");
    const std::filesystem::path directory = directory_of(path);
    if (std::filesystem::weakly_canonical(directory).string().starts_with("/proc/")) {
      throw std::runtime_error("it is a stream, expected the name of a file");
    }
    path = directory / std::filesystem::read_symlink(path);
  }
  return path;
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
  const std::filesystem::path file = resolved(path);
  const auto status = replaceable_status(file);
  // A file in a directory that is not ours can be written in place.
  if (std::filesystem::exists(status) && ::access(file.c_str(), W_OK) == 0 &&
      ::access(directory_of(file).c_str(), W_OK) != 0) {
    return;
  }
  const TemporaryFile probe(directory_of(file));
}

std::filesystem::path previous_of(const std::filesystem::path& path) {
  std::filesystem::path previous = path;
  previous += ".previous";
  return previous;
}

namespace {

// A file that is removed at the end, whether there is one or not.
struct Remover {
  ~Remover() { ::unlink(path.c_str()); }
  std::filesystem::path path;
};

// Gives the file at `path` a further name, so that there is one at `path` all the time.
void keep_previous(const std::filesystem::path& path) {
  const std::filesystem::path previous = previous_of(path);
  replaceable_status(previous);
  // It is left too where both names are of one file, which are not renamed.
  const Remover link{std::filesystem::path(previous) += ".new"};
  std::error_code error;
  std::filesystem::remove(link.path, error);
  std::filesystem::create_hard_link(path, link.path, error);
  // Some file systems have no links.
  if (error) std::filesystem::copy_file(path, link.path);
  std::filesystem::rename(link.path, previous);
}

// Not atomic: for what cannot be replaced.
void write_in_place(const std::filesystem::path& path, std::string_view bytes) {
  const int descriptor = open_file(path, O_WRONLY);
  if (descriptor < 0) throw_error(errno, "cannot open");
  struct Closer {
    ~Closer() {
      if (descriptor >= 0) ::close(descriptor);
    }
    int descriptor;
  } closer{descriptor};
  write_all(descriptor, bytes);
  const auto size = static_cast<off_t>(bytes.size());
  if (uninterrupted([&] { return ::ftruncate(descriptor, size); }) != 0) {
    throw_error(errno, "cannot write");
  }
  flush_all(descriptor);
  close_all(std::exchange(closer.descriptor, -1));
}

}  // namespace

void write_file_atomically(const std::filesystem::path& path, std::string_view bytes,
                           Replaced replaced) {
  const std::filesystem::path file_path = resolved(path);
  const auto status = replaceable_status(file_path);
  const std::filesystem::path directory = directory_of(file_path);
  const bool exists = std::filesystem::exists(status);
  if (exists && ::access(directory.c_str(), W_OK) != 0) return write_in_place(file_path, bytes);
  TemporaryFile file(directory);
  if (exists) file.set_permissions(status.permissions());
  file.write(bytes);
  file.flush();
  if (replaced == Replaced::kept && exists) keep_previous(file_path);
  if (!file.rename_to(file_path)) write_in_place(file_path, bytes);
  flush_directory(directory);
}

}  // namespace lockstep
