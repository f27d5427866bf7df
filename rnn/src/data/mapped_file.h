#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>

#include "lockstep/range.h"

namespace lockstep {
class Dataset;
}

namespace lockstep::data_file {

// A file that is read where it is, page by page as it is needed, while `owner` lives. It must not
// be shortened in that time: the system ends a program that reads what is gone.
struct MappedFile {
  std::string_view bytes;
  std::shared_ptr<const void> owner;
};

// Throws DataError if the file cannot be mapped.
[[nodiscard]] MappedFile map_file(const std::filesystem::path& path);

// Sets from this size on are asked for ahead of their use, and the system reads no more of them
// than that.
[[nodiscard]] bool is_prefetched(const Dataset& data);
void read_as_asked(const Dataset& data);

// Asks the system to read, meanwhile, what of these sequences is in a file.
void prefetch(const Dataset& data, std::span<const std::size_t> sequences);

// The same of sequences that are read in turn. Of a single one nothing is asked.
class Readahead {
 public:
  explicit Readahead(const Dataset& data);
  Readahead(const Dataset& data, Range sequences);
  // Before sequence i is read: asks for some of those behind it.
  void before(std::size_t i);

 private:
  const Dataset& data_;
  std::size_t asked_;
  std::size_t end_;
};

}  // namespace lockstep::data_file
