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

using nlohmann::json;

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

std::uint64_t unsigned_integer(const json& value, const std::string& tensor) {
  if (!value.is_number_unsigned()) {
    throw std::runtime_error("tensor " + quote(tensor) +
                             " has a size or offset that is not a whole number");
  }
  return value.get<std::uint64_t>();
}

TensorInfo parse_tensor(const std::string& name, const json& entry) {
  const auto has = [&entry](const char* key, json::value_t type) {
    return entry.contains(key) && entry[key].type() == type;
  };
  if (!entry.is_object() || !has("dtype", json::value_t::string) ||
      !has("shape", json::value_t::array) || !has("data_offsets", json::value_t::array) ||
      entry["data_offsets"].size() != 2) {
    throw std::runtime_error("tensor " + quote(name) +
                             " is not described by dtype, shape and two data_offsets");
  }
  TensorInfo info;
  info.dtype = entry["dtype"].get<std::string>();
  for (const json& size : entry["shape"]) {
    info.shape.push_back(unsigned_integer(size, name));
  }
  info.begin = unsigned_integer(entry["data_offsets"][0], name);
  info.end = unsigned_integer(entry["data_offsets"][1], name);
  return info;
}

Metadata parse_metadata(const json& entries) {
  if (!entries.is_object()) throw std::runtime_error("its metadata is not an object");
  Metadata metadata;
  for (const auto& [key, value] : entries.items()) {
    if (!value.is_string()) throw std::runtime_error("its metadata " + quote(key) + " is not text");
    metadata[key] = value.get<std::string>();
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

Reader::Reader(const std::filesystem::path& path) {
  const std::uint64_t file_bytes = size_of_file(path);
  if (file_bytes < kLengthBytes) throw std::runtime_error("it is too short for a safetensors file");
  stream_.open(path, std::ios::binary);
  if (!stream_) throw std::runtime_error("it cannot be opened for reading");

  const std::uint64_t header_bytes =
      read_little_endian(read_bytes(kLengthBytes).data(), kLengthBytes);
  if (header_bytes > kMaxHeaderBytes || header_bytes > file_bytes - kLengthBytes) {
    throw std::runtime_error(
        "it is not a safetensors file or it is truncated: its first 8 bytes announce a header of " +
        std::to_string(header_bytes) + " bytes, expected at most " +
        std::to_string(std::min(kMaxHeaderBytes, file_bytes - kLengthBytes)));
  }
  data_start_ = kLengthBytes + header_bytes;
  parse_header(read_bytes(header_bytes));
  check_layout(tensors_, file_bytes - data_start_);
}

std::string Reader::read_bytes(std::uint64_t count) {
  std::string bytes(count, '\0');
  if (!stream_.read(bytes.data(), static_cast<std::streamsize>(count))) {
    throw std::runtime_error("reading it failed");
  }
  return bytes;
}

void Reader::parse_header(const std::string& text) {
  if (!text.starts_with('{'))
    throw std::runtime_error("it is not a safetensors file: its header is no JSON object");
  const json header = parse_strict_json(text);
  for (const auto& [name, entry] : header.items()) {
    if (name == kMetadataKey) {
      metadata_ = parse_metadata(entry);
    } else {
      tensors_.emplace(name, parse_tensor(name, entry));
    }
  }
}

void Reader::require_float(const std::string& name) const {
  const std::string& dtype = tensors_.at(name).dtype;
  if (find_float_type(dtype) != nullptr) return;
  throw std::runtime_error("tensor " + quote(name) + " has type " + quote(dtype) +
                           ", expected F32, F64, F16 or BF16");
}

std::vector<float> Reader::read_float32(const std::string& name) {
  require_float(name);
  const TensorInfo& info = tensors_.at(name);
  const FloatType* type = find_float_type(info.dtype);
  stream_.seekg(static_cast<std::streamoff>(data_start_ + info.begin));
  const std::string bytes = read_bytes(info.end - info.begin);
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
  stream_.seekg(static_cast<std::streamoff>(data_start_ + info.begin));
  return read_bytes(info.end - info.begin);
}

std::string encode(const std::vector<Tensor>& tensors, const Metadata& metadata) {
  json header;
  header[kMetadataKey] = metadata;
  std::size_t data_bytes = 0;
  for (const Tensor& tensor : tensors) {
    const bool is_text = !tensor.text.empty();
    const std::size_t end =
        data_bytes + (is_text ? tensor.text.size() : tensor.values.size() * sizeof(float));
    header[tensor.name] = {{"dtype", is_text ? "U8" : "F32"},
                           {"shape", tensor.shape},
                           {"data_offsets", {data_bytes, end}}};
    data_bytes = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // aligns the tensors, for readers that map the file
  if (text.size() > kMaxHeaderBytes) {
    throw std::runtime_error("its header, with the class names, would exceed " +
                             std::to_string(kMaxHeaderBytes) + " bytes");
  }

  std::string bytes;
  bytes.reserve(kLengthBytes + text.size() + data_bytes);
  append_little_endian(bytes, text.size(), kLengthBytes);
  bytes += text;
  for (const Tensor& tensor : tensors) {
    for (const float value : tensor.values) {
      append_little_endian(bytes, std::bit_cast<std::uint32_t>(value), sizeof value);
    }
    bytes += tensor.text;
  }
  return bytes;
}

}  // namespace lockstep::safetensors
