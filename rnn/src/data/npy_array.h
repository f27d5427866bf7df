#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace lockstep::data_file {

/// A NumPy array as a .npy file holds it (format versions 1 to 3), little-endian.
/// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
class NpyArray {
 public:
  /// Takes the whole file. Messages call it `name`. Throws DataError if `bytes` is not
  /// such a file, is of another length than its header says, or has a type other than those below.
  NpyArray(std::string bytes, std::string name);

  [[nodiscard]] const std::vector<std::size_t>& shape() const { return shape_; }
  /// Distance in elements from one index to the next, per dimension.
  [[nodiscard]] const std::vector<std::size_t>& strides() const { return strides_; }

  /// f4 or f8.
  [[nodiscard]] bool is_float() const { return kind_ == 'f'; }
  /// Signed, unsigned or boolean, of 1, 2, 4 or 8 bytes.
  [[nodiscard]] bool is_integer() const { return kind_ == 'i' || kind_ == 'u' || kind_ == 'b'; }
  [[nodiscard]] const std::string& dtype() const { return dtype_; }

  /// The element at a place counted in elements from the start of the array.
  [[nodiscard]] double float_at(std::size_t place) const;          ///< if is_float()
  [[nodiscard]] std::int64_t integer_at(std::size_t place) const;  ///< if is_integer()
  /// Numbers in their shortest form, 1.0 as "1"; fixed-width text (U, S) as UTF-8 or as its bytes.
  [[nodiscard]] std::string text_at(std::size_t place) const;

 private:
  [[noreturn]] void fail(const std::string& message) const;
  std::string read_header();
  void parse_dtype(const std::string& header);
  void parse_shape(const std::string& header);
  void set_strides(bool fortran_order);
  void check_size() const;
  [[nodiscard]] const char* element(std::size_t place) const;
  [[nodiscard]] std::string utf8_at(std::size_t place) const;

  std::string bytes_;
  std::string name_;
  std::size_t data_ = 0;  // where in bytes_ the elements begin
  std::string dtype_;
  char kind_ = 0;
  std::size_t item_bytes_ = 0;
  std::vector<std::size_t> shape_;
  std::vector<std::size_t> strides_;
};

}  // namespace lockstep::data_file
