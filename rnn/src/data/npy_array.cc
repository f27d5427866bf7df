#include "data/npy_array.h"

#include <array>
#include <bit>
#include <charconv>
#include <limits>
#include <utility>

#include "data/data_file_formats.h"
#include "data/little_endian.h"

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
  std::array<char, 32> text;
  const auto result = std::to_chars(text.data(), text.data() + text.size(), value);
  return {text.data(), result.ptr};
}

void append_utf8(std::string& text, std::uint32_t code_point) {
  const auto put = [&text](std::uint32_t byte) { text.push_back(static_cast<char>(byte)); };
  const auto put_rest = [&](unsigned shift) { put(0x80 | (code_point >> shift & 0x3f)); };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xc0 | code_point >> 6);
    put_rest(0);
  } else if (code_point < 0x10000) {
    put(0xe0 | code_point >> 12);
    put_rest(6);
    put_rest(0);
  } else {
    put(0xf0 | (code_point >> 18 & 0x07));
    put_rest(12);
    put_rest(6);
    put_rest(0);
  }
}

bool is_supported(char kind, std::size_t size) {
  switch (kind) {
    case 'f':
      return size == 4 || size == 8;
    case 'i':
    case 'u':
      return size == 1 || size == 2 || size == 4 || size == 8;
    case 'b':
      return size == 1;
    default:
      return kind == 'U' || kind == 'S';
  }
}

}  // namespace

NpyArray::NpyArray(std::string bytes, std::string name)
    : bytes_(std::move(bytes)), name_(std::move(name)) {
  const std::string header = read_header();
  parse_dtype(header);
  parse_shape(header);
  const std::string_view order = value_of(header, "fortran_order");
  if (!order.starts_with("True") && !order.starts_with("False")) {
    fail("the header has no 'fortran_order' of True or False");
  }
  check_size();
  set_strides(order.starts_with("True"));
}

void NpyArray::fail(const std::string& message) const { throw DataError(name_ + ": " + message); }

std::string NpyArray::read_header() {
  constexpr std::string_view kMagic = "\x93NUMPY";
  constexpr std::size_t kLengthAt = kMagic.size() + 2;
  if (!bytes_.starts_with(kMagic) || bytes_.size() < kLengthAt + 4) {
    fail("the entry is not a .npy array");
  }
  const auto version = static_cast<unsigned char>(bytes_[kMagic.size()]);
  if (version < 1 || version > 3) {
    fail("the .npy version is " + std::to_string(version) + ", expected 1, 2 or 3");
  }
  const std::size_t length_bytes = version == 1 ? 2 : 4;
  const std::size_t start = kLengthAt + length_bytes;
  const std::uint64_t length = read_little_endian(bytes_.data() + kLengthAt, length_bytes);
  if (length > bytes_.size() - start) fail("the entry ends within its .npy header");
  data_ = start + length;
  return bytes_.substr(start, length);
}

void NpyArray::parse_dtype(const std::string& header) {
  const std::string_view value = value_of(header, "descr");
  const std::size_t end = value.find('\'', 1);
  if (!value.starts_with('\'') || end == std::string_view::npos || end < 3) {
    fail("the header has no plain 'descr', expected a type such as '<f4'");
  }
  dtype_ = value.substr(1, end - 1);
  kind_ = dtype_[1];
  const std::optional<std::size_t> size =
      from_text<std::size_t>(std::string_view(dtype_).substr(2));
  const bool little_endian = dtype_[0] == '<' || dtype_[0] == '|';
  constexpr std::size_t kLargestItem = 1 << 20;
  if (!little_endian || !size || *size > kLargestItem || !is_supported(kind_, *size)) {
    fail("the type " + in_quotes(dtype_) +
         " is not supported, expected little-endian floats, integers or fixed-width text");
  }
  item_bytes_ = kind_ == 'U' ? 4 * *size : *size;
}

void NpyArray::parse_shape(const std::string& header) {
  const std::string_view value = value_of(header, "shape");
  const std::size_t end = value.find(')');
  if (!value.starts_with('(') || end == std::string_view::npos) fail("the header has no 'shape'");
  for (const std::string_view part : split(value.substr(1, end - 1), ',')) {
    if (trim(part).empty()) continue;  // as behind the comma of (3,)
    const std::optional<std::size_t> size = from_text<std::size_t>(trim(part));
    if (!size) fail("the shape holds " + in_quotes(part) + ", expected whole numbers");
    shape_.push_back(*size);
  }
}

void NpyArray::check_size() const {
  std::size_t expected = item_bytes_;
  for (const std::size_t size : shape_) {
    if (size != 0 && expected > std::numeric_limits<std::size_t>::max() / size) {
      fail("the shape in the header is larger than any memory");
    }
    expected *= size;
  }
  const std::size_t found = bytes_.size() - data_;
  if (found != expected) {
    fail("the entry holds " + std::to_string(found) + " bytes of data, expected " +
         std::to_string(expected) + " from its header");
  }
}

void NpyArray::set_strides(bool fortran_order) {
  const std::size_t dimensions = shape_.size();
  strides_.resize(dimensions);
  std::size_t stride = 1;
  for (std::size_t k = 0; k < dimensions; ++k) {
    const std::size_t dimension = fortran_order ? k : dimensions - 1 - k;
    strides_[dimension] = stride;
    stride *= shape_[dimension];
  }
}

const char* NpyArray::element(std::size_t place) const {
  return bytes_.data() + data_ + place * item_bytes_;
}

double NpyArray::float_at(std::size_t place) const {
  const std::uint64_t bits = read_little_endian(element(place), item_bytes_);
  if (item_bytes_ == 8) return std::bit_cast<double>(bits);
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits));
}

std::int64_t NpyArray::integer_at(std::size_t place) const {
  const char* const bytes = element(place);
  const bool negative = kind_ == 'i' && static_cast<signed char>(bytes[item_bytes_ - 1]) < 0;
  const std::uint64_t fill = negative ? ~std::uint64_t{0} : 0;
  return static_cast<std::int64_t>(read_little_endian(bytes, item_bytes_, fill));
}

std::string NpyArray::text_at(std::size_t place) const {
  if (is_float()) return shortest(float_at(place));
  if (kind_ == 'u') return std::to_string(static_cast<std::uint64_t>(integer_at(place)));
  if (is_integer()) return std::to_string(integer_at(place));
  if (kind_ == 'U') return utf8_at(place);
  std::string text(element(place), item_bytes_);
  text.erase(text.find_last_not_of('\0') + 1);
  return text;
}

std::string NpyArray::utf8_at(std::size_t place) const {
  std::string text;
  for (std::size_t at = 0; at < item_bytes_; at += 4) {
    const std::uint64_t code_point = read_little_endian(element(place) + at, 4);
    append_utf8(text, static_cast<std::uint32_t>(code_point));
  }
  text.erase(text.find_last_not_of('\0') + 1);
  return text;
}

}  // namespace lockstep::data_file
