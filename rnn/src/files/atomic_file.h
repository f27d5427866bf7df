#pragma once

#include <filesystem>
#include <string_view>

namespace lockstep {

/// What becomes of a file that is replaced.
enum class Replaced {
  lost,
  kept,  ///< as `path`.previous, in the place of what is there
};

/// Replaces the file `path` by one with the given bytes: they are written under a temporary name in
/// the same directory, flushed to disk and renamed, so that `path` holds the old bytes or all the
/// new ones whatever happens. A replaced file's permissions are kept, a new file's are those of the
/// umask; of a symbolic link that is written which it leads to. A file that cannot be replaced, as
/// it is mounted by itself or in a directory without leave to write, is written in place. Throws
/// std::runtime_error, and leaves no temporary file behind, if a step fails or if `path` is a
/// stream, or exists and is not a regular file. What was written and could not be renamed stays,
/// and the error names it. A kill between naming and renaming leaves the temporary file, which is
/// whole where the system can write files without a name.
void write_file_atomically(const std::filesystem::path& path, std::string_view bytes,
                           Replaced replaced = Replaced::lost);
/// `path`.previous
[[nodiscard]] std::filesystem::path previous_of(const std::filesystem::path& path);

/// Throws std::runtime_error as write_file_atomically(path) would, as far as that can be known
/// beforehand; leaves nothing behind.
void require_replaceable(const std::filesystem::path& path);

}  // namespace lockstep
