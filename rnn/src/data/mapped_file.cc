#include "data/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
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

std::size_t page_size() {
  static const auto size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return size;
}

// Pages of the memory, to be given the same advice; neighbouring ones with one call.
class Advice {
 public:
  explicit Advice(int advice) : advice_(advice) {}
  ~Advice() { flush(); }
  Advice(const Advice&) = delete;
  Advice& operator=(const Advice&) = delete;

  void add(std::span<const float> values) {
    const auto* first = reinterpret_cast<const char*>(values.data());
    const char* begin = first - reinterpret_cast<std::uintptr_t>(first) % page_size();
    const char* end = first + values.size_bytes();
    if (begin_ != nullptr && begin >= begin_ && begin <= end_ + page_size()) {
      end_ = std::max(end_, end);
      return;
    }
    flush();
    begin_ = begin;
    end_ = end;
  }

 private:
  void flush() const {
    if (begin_ == nullptr) return;
    ::madvise(const_cast<char*>(begin_), static_cast<std::size_t>(end_ - begin_), advice_);
  }

  int advice_;
  const char* begin_ = nullptr;
  const char* end_ = nullptr;
};

}  // namespace

MappedFile map_file(const std::filesystem::path& path) {
  const OpenFile file(path);
  struct stat status{};
  if (::fstat(file.descriptor, &status) != 0) fail(path, errno);
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size == 0) throw DataError(path.string() + ": the file is empty");
  void* memory = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file.descriptor, 0);
  if (memory == MAP_FAILED) fail(path, errno);
  const std::shared_ptr<const void> owner(
      memory, [size](const void* mapped) { ::munmap(const_cast<void*>(mapped), size); });
  return {{static_cast<const char*>(memory), size}, owner};
}

bool is_prefetched(const Dataset& data) {
  return data.is_over_other_memory() &&
         data.total_timesteps() * data.channels() * sizeof(float) >= kPrefetchedBytesOfData;
}

void read_as_asked(const Dataset& data) {
  if (!is_prefetched(data)) return;
  Advice advice(MADV_RANDOM);
  for (std::size_t i = 0; i < data.size(); ++i) advice.add(data.sequence(i));
}

// Asking for less than a page costs more than it brings where the page is there.
void prefetch(const Dataset& data, std::span<const std::size_t> sequences) {
  if (!is_prefetched(data)) return;
  Advice advice(MADV_WILLNEED);
  for (const std::size_t i : sequences) {
    if (data.sequence(i).size_bytes() >= page_size()) advice.add(data.sequence(i));
  }
}

Readahead::Readahead(const Dataset& data) : Readahead(data, {0, data.size()}) {}

Readahead::Readahead(const Dataset& data, Range sequences)
    : data_(data),
      asked_(sequences.begin),
      end_(sequences.size() > 1 && is_prefetched(data) ? sequences.end : 0) {}

void Readahead::before(std::size_t i) {
  if (asked_ >= end_) return;
  // In pieces of half the distance, so that few calls ask for many short sequences.
  const std::size_t ahead = kBytesReadAhead / sizeof(float) / data_.channels();
  const std::size_t first = data_.first_timestep(i);
  if (asked_ > i && data_.first_timestep(asked_) > first + ahead / 2) return;
  Advice advice(MADV_WILLNEED);
  while (asked_ < end_ && data_.first_timestep(asked_) <= first + ahead) {
    advice.add(data_.sequence(asked_++));
  }
}

}  // namespace lockstep::data_file
