// NumPy's arrays, and data sets made of them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/formats.h"

namespace lockstep::data_file {

// A NumPy array as a .npy file holds it (format versions 1 to 3), little-endian.
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
struct NpyArray {
  // Of the whole file, in memory that `memory` keeps. Messages call it `file_name`. Throws
  // DataError if `file_bytes` is not such a file, is of another length than its header says, or has
  // a type other than those below.
  NpyArray(std::string_view file_bytes, std::shared_ptr<const void> memory, std::string file_name);

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

  std::string_view bytes;
  std::shared_ptr<const void> owner;
  std::string name;
  std::size_t data = 0;  // where in `bytes` the elements begin
  std::string dtype;
  char kind = 0;
  std::size_t item_bytes = 0;
  std::vector<std::size_t> shape;
  bool fortran_order = false;  // the first index varies fastest, not the last
};

// Where the arrays of a set are found.
class ArraySource {
 public:
  ArraySource() = default;
  virtual ~ArraySource() = default;
  ArraySource(const ArraySource&) = delete;
  ArraySource& operator=(const ArraySource&) = delete;

  [[nodiscard]] virtual NpyArray values() const = 0;
  // As far as there are any; of `values` those of the name lengths or sample_weight.
  [[nodiscard]] virtual std::optional<NpyArray> targets() const = 0;
  [[nodiscard]] virtual std::optional<NpyArray> beside_values(const std::string& name) const = 0;
};

// The set that the arrays make. Values that `is_mapped` stay where they are if they can.
[[nodiscard]] Dataset read_arrays(Reading& reading, const ArraySource& source, bool is_mapped);

}  // namespace lockstep::data_file
