// What .npz files are made of.
#pragma once

#include <cstddef>
#include <cstdint>
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

// A NumPy array as a .npy file holds it (format versions 1 to 3), little-endian.
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
struct NpyArray {
  // Takes the whole file. Messages call it `name`. Throws DataError if `bytes` is not such a file,
  // is of another length than its header says, or has a type other than those below.
  NpyArray(std::string bytes, std::string name);

  // f4 or f8.
  [[nodiscard]] bool is_float() const { return kind == 'f'; }
  // Signed, unsigned or boolean, of 1, 2, 4 or 8 bytes.
  [[nodiscard]] bool is_integer() const { return kind == 'i' || kind == 'u' || kind == 'b'; }

  // The element at a place counted in elements from the start of the array.
  [[nodiscard]] double float_at(std::size_t place) const;          // if is_float()
  [[nodiscard]] std::int64_t integer_at(std::size_t place) const;  // if is_integer()
  // Numbers in their shortest form, 1.0 as "1"; fixed-width text (U, S) as UTF-8 or as its bytes.
  [[nodiscard]] std::string text_at(std::size_t place) const;
  [[nodiscard]] const char* element(std::size_t place) const;

  std::string bytes;
  std::string name;
  std::size_t data = 0;  // where in `bytes` the elements begin
  std::string dtype;
  char kind = 0;
  std::size_t item_bytes = 0;
  std::vector<std::size_t> shape;
  bool fortran_order = false;  // the first index varies fastest, not the last
};

}  // namespace lockstep::data_file
