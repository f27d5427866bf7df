// What .npz files are made of.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace lockstep::data_file {

// The names of the entries of a zip archive. Throws DataError for a file that is none.
std::vector<std::string> zip_entry_names(const std::filesystem::path& path);
// The content of one of them, stored or deflated, ZIP64 as well.
// https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
//
// No size is believed: memory is taken as data arrives, up to require_unpackable's bound. Throws
// DataError for a damaged entry, for one that unpacks to more and for another method.
std::string read_zip_entry(const std::filesystem::path& path, const std::string& name);

}  // namespace lockstep::data_file
