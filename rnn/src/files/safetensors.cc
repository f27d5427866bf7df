#include "files/safetensors.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "binary.h"
#include "files/strict_json.h"

namespace lockstep::safetensors {
namespace {

constexpr std::size_t kLengthBytes = sizeof(std::uint64_t);
// Ample for kMaxLayers layers; the format allows 100 MB, which parsed would take gigabytes.
constexpr std::uint64_t kMaxHeaderBytes = std::uint64_t{4} << 20;
constexpr std::string_view kMetadataKey = "__metadata__";

// IEEE 754 binary16: a sign, 5 bits of exponent (bias 15), 10 bits of fraction.
float from_half(std::uint64_t bits) {
  const auto exponent = static_cast<int>(bits >> 10 & 0x1f);
  const auto fraction = static_cast<int>(bits & 0x3ff);
  float magnitude = 0;
  if (exponent == 0x1f) {
    magnitude = fraction == 0 ? std::numeric_limits<float>::infinity()
                              : std::numeric_limits<float>::quiet_NaN();
  } else if (exponent == 0) {
    magnitude = std::ldexp(static_cast<float>(fraction), -24);
  } else {
    magnitude = std::ldexp(static_cast<float>(fraction + 0x400), exponent - 25);
  }
  return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}

float from_float32(std::uint64_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits));
}

// How the bits of one type become float32. A file may hold types that are not listed, which are not
// read.
struct FloatType {
  std::string_view name;
  std::size_t bytes;
  float (*decode)(std::uint64_t bits);
};

constexpr FloatType kFloatTypes[] = {
    {"F32", 4, from_float32},
    {"F64", 8, [](std::uint64_t bits) { return static_cast<float>(std::bit_cast<double>(bits)); }},
    {"F16", 2, from_half},
    {"BF16", 2, [](std::uint64_t bits) { return from_float32(bits << 16); }},
};

const FloatType* find_float_type(std::string_view name) {
  const auto* found = std::ranges::find(kFloatTypes, name, &FloatType::name);
  return found == std::end(kFloatTypes) ? nullptr : found;
}

std::uint64_t unsigned_integer(const Json& value, const std::string& tensor) {
  const auto* const number = std::get_if<std::uint64_t>(&value.value);
  if (number != nullptr) return *number;
  throw std::runtime_error("tensor " + quote(tensor) +
                           " has a size or offset that is not a whole number");
}

// Null unless the entry has a part of this name and type.
template <class T>
const T* find_part(const Json& entry, const char* key) {
  const Json* const found = entry.is_object() ? entry.find(key) : nullptr;
  return found == nullptr ? nullptr : std::get_if<T>(&found->value);
}

TensorInfo parse_tensor(const std::string& name, const Json& entry) {
  const auto* const dtype = find_part<std::string>(entry, "dtype");
  const auto* const shape = find_part<Json::Items>(entry, "shape");
  const auto* const offsets = find_part<Json::Items>(entry, "data_offsets");
  if (dtype == nullptr || shape == nullptr || offsets == nullptr || offsets->size() != 2) {
    throw std::runtime_error("tensor " + quote(name) +
                             " is not described by dtype, shape and two data_offsets");
  }
  TensorInfo info{.dtype = *dtype, .shape = {}};
  for (const Json& size : *shape) info.shape.push_back(unsigned_integer(size, name));
  info.begin = unsigned_integer((*offsets)[0], name);
  info.end = unsigned_integer((*offsets)[1], name);
  return info;
}

Metadata parse_metadata(const Json& entries) {
  if (!entries.is_object()) throw std::runtime_error("its metadata is not an object");
  Metadata metadata;
  for (const auto& [key, value] : entries.members()) {
    const auto* const text = std::get_if<std::string>(&value.value);
    if (text == nullptr) throw std::runtime_error("its metadata " + quote(key) + " is not text");
    metadata[key] = *text;
  }
  return metadata;
}

// Sorted by their begin, the tensors must follow one another from 0 to the end of the file.
void check_layout(const std::map<std::string, TensorInfo>& tensors, std::uint64_t data_bytes) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;
  for (const auto& [name, info] : tensors) {
    if (info.begin > info.end || info.end > data_bytes) {
      throw std::runtime_error("tensor " + quote(name) +
                               " lies outside the file, which may be truncated");
    }
    const FloatType* type = find_float_type(info.dtype);
    if (type != nullptr && checked_product(type->bytes, info.shape) != info.end - info.begin) {
      throw std::runtime_error("tensor " + quote(name) + " of type " + info.dtype + " and shape " +
                               shape_text(info.shape) + " does not take " +
                               std::to_string(info.end - info.begin) + " bytes");
    }
    ranges.emplace_back(info.begin, info.end);
  }
  std::ranges::sort(ranges);
  std::uint64_t position = 0;
  for (const auto& [begin, end] : ranges) {
    if (begin != position) throw std::runtime_error("its tensors overlap or leave a gap");
    position = end;
  }
  if (position != data_bytes) throw std::runtime_error("it has bytes after its last tensor");
}

std::uint64_t size_of_file(const std::filesystem::path& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    throw std::runtime_error("it is not a regular file");
  }
  const std::uint64_t bytes = std::filesystem::file_size(path, error);
  if (error) throw std::runtime_error(error.message());
  return bytes;
}

}  // namespace

Reader::Reader(const std::filesystem::path& path) : Reader(path, size_of_file(path)) {}

Reader::Reader(const std::filesystem::path& path, std::uint64_t file_bytes) : file_(path) {
  read_header(file_bytes);
}

Reader::Reader(std::string_view bytes) : file_(bytes) { read_header(bytes.size()); }

void Reader::read_header(std::uint64_t file_bytes) {
  if (file_bytes < kLengthBytes) {
    throw std::runtime_error("it is too short for a safetensors file");
  }
  const std::uint64_t header_bytes =
      read_little_endian(file_.read_at(0, kLengthBytes).data(), kLengthBytes);
  if (header_bytes > kMaxHeaderBytes || header_bytes > file_bytes - kLengthBytes) {
    throw std::runtime_error(
        "it is not a safetensors file or it is truncated: its first 8 bytes announce a header of " +
        std::to_string(header_bytes) + " bytes, expected at most " +
        std::to_string(std::min(kMaxHeaderBytes, file_bytes - kLengthBytes)));
  }
  data_start_ = kLengthBytes + header_bytes;
  parse_header(file_.read_at(kLengthBytes, header_bytes));
  check_layout(tensors_, file_bytes - data_start_);
}

void Reader::parse_header(std::string_view text) {
  if (!text.starts_with('{'))
    throw std::runtime_error("it is not a safetensors file: its header is no JSON object");
  const Json header = parse_strict_json(text);
  for (const auto& [name, entry] : header.members()) {
    if (name == kMetadataKey) {
      metadata_ = parse_metadata(entry);
    } else {
      tensors_.emplace(name, parse_tensor(name, entry));
    }
  }
}

void Reader::require_float32(const std::string& name) const {
  const TensorInfo& info = tensors_.at(name);
  if (find_float_type(info.dtype) != nullptr) return;
  throw std::runtime_error("tensor " + quote(name) + " has type " + quote(info.dtype) +
                           ", expected F32, F64, F16 or BF16");
}

std::vector<float> Reader::read_float32(const std::string& name) {
  require_float32(name);
  const TensorInfo& info = tensors_.at(name);
  const FloatType* type = find_float_type(info.dtype);
  const std::string bytes = file_.read_at(data_start_ + info.begin, info.end - info.begin);
  std::vector<float> values(bytes.size() / type->bytes);
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = type->decode(read_little_endian(bytes.data() + i * type->bytes, type->bytes));
  }
  return values;
}

std::string Reader::read_text(const std::string& name) {
  const TensorInfo& info = tensors_.at(name);
  if (info.dtype != "U8") {
    throw std::runtime_error("tensor " + quote(name) + " has type " + quote(info.dtype) +
                             ", expected U8");
  }
  return file_.read_at(data_start_ + info.begin, info.end - info.begin);
}

std::string encode_header(const std::map<std::string, TensorInfo>& tensors,
                          const Metadata& metadata) {
  JsonTexts members;
  for (const auto& [key, text] : metadata) members[key] = json_text(text);
  members = {{std::string(kMetadataKey), json_object(members)}};
  for (const auto& [name, info] : tensors) {
    members[name] = json_object({{"dtype", json_text(info.dtype)},
                                 {"shape", json_text(info.shape)},
                                 {"data_offsets", json_text(std::vector{info.begin, info.end})}});
  }
  std::string text = json_object(members);
  text.resize((text.size() + 7) / 8 * 8, ' ');  // aligns the tensors, for readers that map the file
  if (text.size() <= kMaxHeaderBytes) return text;
  throw std::runtime_error("its header of " + std::to_string(text.size()) +
                           " bytes, with what is known of classes and channels, would exceed " +
                           std::to_string(kMaxHeaderBytes) + " bytes");
}

std::string encode(const std::vector<Tensor>& tensors, const Metadata& metadata) {
  std::map<std::string, TensorInfo> infos;
  std::uint64_t data_bytes = 0;
  for (const Tensor& tensor : tensors) {
    const bool is_text = !tensor.text.empty();
    const std::uint64_t end =
        data_bytes + (is_text ? tensor.text.size() : tensor.values.size() * sizeof(float));
    infos[tensor.name] = {is_text ? "U8" : "F32", tensor.shape, data_bytes, end};
    data_bytes = end;
  }
  const std::string header = encode_header(infos, metadata);
  std::string bytes;
  bytes.reserve(kLengthBytes + header.size() + data_bytes);
  append_little_endian(bytes, header.size(), kLengthBytes);
  bytes += header;
  for (const Tensor& tensor : tensors) {
    for (const float value : tensor.values) {
      append_little_endian(bytes, std::bit_cast<std::uint32_t>(value), sizeof value);
    }
    bytes += tensor.text;
  }
  return bytes;
}

}  // namespace lockstep::safetensors
