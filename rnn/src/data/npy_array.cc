#include <bit>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "binary.h"
#include "data/arrays.h"
#include "data/text_file.h"
#include "lockstep/rnn/data_file.h"

namespace lockstep::data_file {
namespace {

// What is behind 'key': in the header, a Python dictionary; empty if the key is missing.
std::string_view value_of(std::string_view header, const std::string& key) {
  const std::size_t at = header.find("'" + key + "'");
  if (at == std::string_view::npos) return {};
  const std::size_t colon = header.find(':', at);
  return colon == std::string_view::npos ? std::string_view{} : trim(header.substr(colon + 1));
}

std::string shortest(double value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

bool is_supported(char kind, std::size_t size) {
  if (kind == 'U' || kind == 'S') return true;
  static constexpr std::string_view kNumbers = "f2 f4 f8 i1 i2 i4 i8 u1 u2 u4 u8 b1 ";
  return kNumbers.find(kind + std::to_string(size) + ' ') != std::string_view::npos;
}

[[noreturn]] void fail(const NpyArray& array, const std::string& message) {
  throw DataError(array.name + ": " + message);
}

std::string read_header(NpyArray& array) {
  constexpr std::string_view kMagic = "\x93NUMPY";
  constexpr std::size_t kLengthAt = kMagic.size() + 2;
  if (!array.bytes.starts_with(kMagic) || array.bytes.size() < kLengthAt + 4) {
    fail(array, "this is not a .npy array");
  }
  const auto version = static_cast<unsigned char>(array.bytes[kMagic.size()]);
  if (version < 1 || version > 3) {
    fail(array, "the .npy version is " + std::to_string(version) + ", expected 1, 2 or 3");
  }
  const std::size_t length_bytes = version == 1 ? 2 : 4;
  const std::size_t start = kLengthAt + length_bytes;
  const std::uint64_t length = read_little_endian(array.bytes.data() + kLengthAt, length_bytes);
  if (length > array.bytes.size() - start) fail(array, "it ends within its .npy header");
  array.data = start + length;
  return std::string(array.bytes.substr(start, length));
}

void parse_dtype(const std::string& header, NpyArray& array) {
  const std::string_view value = value_of(header, "descr");
  const std::size_t end = value.find('\'', 1);
  if (!value.starts_with('\'') || end == std::string_view::npos || end < 3) {
    fail(array, "the header has no plain 'descr', expected a type such as '<f4'");
  }
  array.dtype = value.substr(1, end - 1);
  array.kind = array.dtype[1];
  if (array.kind == 'O') {
    fail(array,
         "an object array, which only Python can read; np.array(y.tolist()) makes one of labels, "
         "and sequences of unequal length are one array with `lengths`");
  }
  const std::optional<std::size_t> size =
      from_text<std::size_t>(std::string_view(array.dtype).substr(2));
  const bool little_endian = array.dtype[0] == '<' || array.dtype[0] == '|';
  constexpr std::size_t kLargestItem = 1 << 20;
  if (!little_endian || !size || *size > kLargestItem || !is_supported(array.kind, *size)) {
    fail(array,
         "the type " + in_quotes(array.dtype) +
             " is not supported, expected little-endian floats, integers or fixed-width text");
  }
  array.item_bytes = array.kind == 'U' ? 4 * *size : *size;
}

void parse_shape(const std::string& header, NpyArray& array) {
  const std::string_view value = value_of(header, "shape");
  const std::size_t end = value.find(')');
  if (!value.starts_with('(') || end == std::string_view::npos)
    fail(array, "the header has no 'shape'");
  for (const std::string_view part : split(value.substr(1, end - 1), ',')) {
    if (trim(part).empty()) continue;  // as behind the comma of (3,)
    const std::optional<std::size_t> size = from_text<std::size_t>(trim(part));
    if (!size) fail(array, "the shape holds " + in_quotes(part) + ", expected whole numbers");
    array.shape.push_back(*size);
  }
}

void check_size(const NpyArray& array) {
  const std::optional<std::uint64_t> expected = checked_product(array.item_bytes, array.shape);
  if (!expected) fail(array, "the shape in the header is larger than any memory");
  const std::size_t found = array.bytes.size() - array.data;
  if (found != *expected) {
    fail(array, "it holds " + std::to_string(found) + " bytes of data, expected " +
                    std::to_string(*expected) + " from its header");
  }
}

// IEEE 754 binary16.
double half_to_double(std::uint32_t bits) {
  const double sign = (bits & 0x8000U) != 0 ? -1 : 1;
  const int exponent = static_cast<int>(bits >> 10 & 0x1f);
  const auto fraction = static_cast<double>(bits & 0x3ffU);
  if (exponent == 0) return sign * fraction * 0x1p-24;
  if (exponent == 0x1f) {
    using Limits = std::numeric_limits<double>;
    return fraction == 0 ? sign * Limits::infinity() : Limits::quiet_NaN();
  }
  return sign * std::ldexp(1024 + fraction, exponent - 25);
}

// Without the zeros that fill a fixed width.
std::string stripped(std::string text) {
  text.erase(text.find_last_not_of('\0') + 1);
  return text;
}

std::string utf8_at(const NpyArray& array, std::size_t place) {
  std::string text;
  for (std::size_t at = 0; at < array.item_bytes; at += 4) {
    const std::uint64_t code_point = read_little_endian(array.element(place) + at, 4);
    constexpr std::uint64_t kLargest = 0x10ffff;
    // Which is no text either.
    if (code_point > kLargest) return "\xff";
    append_utf8(text, static_cast<std::uint32_t>(code_point));
  }
  return text;
}

}  // namespace

NpyArray::NpyArray(std::string_view file_bytes, std::shared_ptr<const void> memory,
                   std::string file_name)
    : bytes(file_bytes), owner(std::move(memory)), name(std::move(file_name)) {
  const std::string header = read_header(*this);
  parse_dtype(header, *this);
  parse_shape(header, *this);
  const std::string_view order = value_of(header, "fortran_order");
  fortran_order = order.starts_with("True");
  if (!fortran_order && !order.starts_with("False")) {
    fail(*this, "the header has no 'fortran_order' of True or False");
  }
  check_size(*this);
}

const char* NpyArray::element(std::size_t place) const {
  return bytes.data() + data + place * item_bytes;
}

std::size_t NpyArray::place_of(const std::array<std::size_t, 3>& index) const {
  std::size_t place = 0;
  std::size_t stride = 1;
  for (std::size_t d = 0; d < shape.size(); ++d) {
    const std::size_t axis = fortran_order ? d : shape.size() - 1 - d;
    place += index[axis] * stride;
    stride *= shape[axis];
  }
  return place;
}

double NpyArray::float_at(std::size_t place) const {
  const std::uint64_t bits = read_little_endian(element(place), item_bytes);
  if (item_bytes == 8) return std::bit_cast<double>(bits);
  if (item_bytes == 2) return half_to_double(static_cast<std::uint32_t>(bits));
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits));
}

std::int64_t NpyArray::integer_at(std::size_t place) const {
  const char* const item = element(place);
  const bool negative = kind == 'i' && static_cast<signed char>(item[item_bytes - 1]) < 0;
  const std::uint64_t fill = negative ? ~std::uint64_t{0} : 0;
  return static_cast<std::int64_t>(read_little_endian(item, item_bytes, fill));
}

std::string NpyArray::text_at(std::size_t place) const {
  if (is_float()) return shortest(float_at(place));
  if (kind == 'u') return std::to_string(static_cast<std::uint64_t>(integer_at(place)));
  if (is_integer()) return std::to_string(integer_at(place));
  std::string text =
      stripped(kind == 'U' ? utf8_at(*this, place) : std::string(element(place), item_bytes));
  if (!is_utf8(text)) fail(*this, "the text " + in_quotes(text) + " is not Unicode");
  return text;
}

}  // namespace lockstep::data_file
