#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

namespace lockstep::data_file {

/// Reads the entries of a zip archive, stored or deflated, ZIP64 as well.
/// https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
///
/// No size is believed: memory is taken as data arrives, and an entry that expands to more than
/// 1 GiB and more than 16 times the archive is refused.
class ZipArchive {
 public:
  /// Throws DataError if the file is not a zip archive.
  explicit ZipArchive(const std::filesystem::path& path);

  /// The content of an entry; none if there is no such entry. Throws DataError if it is damaged, of
  /// another method or refused.
  std::optional<std::string> read(const std::string& entry);

 private:
  struct Entry;

  [[noreturn]] void fail(const std::string& message) const;
  std::string bytes_at(std::uint64_t at, std::uint64_t count);
  std::string read_directory();
  [[nodiscard]] std::optional<Entry> find(const std::string& name) const;
  void check(const Entry& entry) const;
  std::uint64_t find_data(const Entry& entry);
  std::string expand(const Entry& entry, std::uint64_t at);

  std::string name_;
  std::ifstream file_;
  std::uint64_t file_bytes_;
  std::string directory_;
};

}  // namespace lockstep::data_file
