#include "data/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <new>
#include <system_error>

#include "files/system_call.h"
#include "lockstep/rnn/data_file.h"
#include "tuning.h"

namespace lockstep::data_file {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, int error) {
  if (error == ENOMEM) throw std::bad_alloc();
  throw DataError(path.string() + ": cannot be read: " + std::generic_category().message(error));
}

struct OpenFile {
  explicit OpenFile(const std::filesystem::path& path)
      : descriptor(uninterrupted([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC); })) {
    if (descriptor < 0) fail(path, errno);
  }
  ~OpenFile() { ::close(descriptor); }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  int descriptor;
};

void advise(std::span<const float> values, int advice) {
  static const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const std::uintptr_t begin = reinterpret_cast<std::uintptr_t>(values.data()) / page * page;
  const std::uintptr_t end = reinterpret_cast<std::uintptr_t>(values.data() + values.size());
  ::madvise(reinterpret_cast<void*>(begin), end - begin, advice);
}

bool is_prefetched(const Dataset& data) {
  return data.is_over_other_memory() &&
         data.total_timesteps() * data.channels() * sizeof(float) >= kPrefetchedBytesOfData;
}

}  // namespace

MappedFile map_file(const std::filesystem::path& path) {
  const OpenFile file(path);
  struct stat status{};
  if (::fstat(file.descriptor, &status) != 0) fail(path, errno);
  const auto size = static_cast<std::size_t>(status.st_size);
  void* memory = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file.descriptor, 0);
  if (memory == MAP_FAILED) fail(path, errno);
  const std::shared_ptr<const void> owner(
      memory, [size](const void* mapped) { ::munmap(const_cast<void*>(mapped), size); });
  return {{static_cast<const char*>(memory), size}, owner};
}

void read_in_own_order(std::span<const float> values) { advise(values, MADV_RANDOM); }

void prefetch(const Dataset& data, std::span<const std::size_t> sequences) {
  if (!is_prefetched(data)) return;
  for (const std::size_t i : sequences) advise(data.sequence(i), MADV_WILLNEED);
}

void Readahead::before(std::size_t i) {
  if (!is_prefetched(data_)) return;
  const std::size_t timesteps = kBytesReadAhead / sizeof(float) / data_.channels();
  while (asked_ < data_.size() &&
         data_.first_timestep(asked_) <= data_.first_timestep(i) + timesteps) {
    advise(data_.sequence(asked_++), MADV_WILLNEED);
  }
}

}  // namespace lockstep::data_file
