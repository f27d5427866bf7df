#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>

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

// Values that are read in an order of our own: the system is to read no more than is asked for.
void read_in_own_order(std::span<const float> values);

// Asks the system to read, meanwhile, what of these sequences is in a file.
void prefetch(const Dataset& data, std::span<const std::size_t> sequences);

// The same of sequences that are read in turn.
class Readahead {
 public:
  explicit Readahead(const Dataset& data) : data_(data) {}
  // Before sequence i is read: asks for some of those behind it.
  void before(std::size_t i);

 private:
  const Dataset& data_;
  std::size_t asked_ = 0;
};

}  // namespace lockstep::data_file
