#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace lockstep::data_file {

// The content of the entry `name` of a zip archive, stored or deflated, ZIP64 as well; none if
// there is no such entry. https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
//
// No size is believed: memory is taken as data arrives, and an entry that expands to more than
// 1 GiB and more than 16 times the archive is refused. Throws DataError for such an entry, for a
// damaged one, for another method and for a file that is no zip archive.
std::optional<std::string> read_zip_entry(const std::filesystem::path& path,
                                          const std::string& name);

}  // namespace lockstep::data_file
