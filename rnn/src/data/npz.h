// What .npz files are made of.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
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

// A NumPy array as a .npy file holds it (format versions 1 to 3), little-endian.
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
struct NpyArray {
  // Takes the whole file. Messages call it `name`. Throws DataError if `bytes` is not such a file,
  // is of another length than its header says, or has a type other than those below.
  NpyArray(std::string bytes, std::string name);

  // f2, f4 or f8.
  [[nodiscard]] bool is_float() const { return kind == 'f'; }
  // Signed, unsigned or boolean, of 1, 2, 4 or 8 bytes.
  [[nodiscard]] bool is_integer() const { return kind == 'i' || kind == 'u' || kind == 'b'; }

  [[nodiscard]] bool is_number() const { return is_float() || is_integer(); }

  // The place of an element with such indices along the axes that there are, counted in elements.
  [[nodiscard]] std::size_t place_of(const std::array<std::size_t, 3>& index) const;
  // The element at a place.
  [[nodiscard]] double float_at(std::size_t place) const;          // if is_float()
  [[nodiscard]] std::int64_t integer_at(std::size_t place) const;  // if is_integer()
  [[nodiscard]] double number_at(std::size_t place) const {        // if is_number()
    if (is_float()) return float_at(place);
    const std::int64_t integer = integer_at(place);
    return kind == 'u' ? static_cast<double>(static_cast<std::uint64_t>(integer))
                       : static_cast<double>(integer);
  }
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
