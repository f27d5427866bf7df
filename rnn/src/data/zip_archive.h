#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace lockstep::data_file {

// The content of those entries of a zip archive that it has, stored or deflated, ZIP64 as well.
// https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
//
// No size is believed: memory is taken as data arrives, and an entry that expands to more than
// 1 GiB and more than 16 times the archive is refused. Throws DataError for such an entry, for a
// damaged one, for another method and for a file that is no zip archive.
std::map<std::string, std::string> read_zip_entries(const std::filesystem::path& path,
                                                    const std::vector<std::string>& names);

}  // namespace lockstep::data_file
