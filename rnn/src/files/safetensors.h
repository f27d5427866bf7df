#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "files/input_file.h"

/// The safetensors container (https://github.com/huggingface/safetensors): named tensors and text
/// metadata. A file is the length of the header as a little-endian 64-bit integer, the header as a
/// JSON object, then the bytes of the tensors. Nothing here knows of models.
///
/// Errors are std::runtime_error whose what() is a reason, to follow the name of the file.
namespace lockstep::safetensors {

using Metadata = std::map<std::string, std::string>;
using Shape = std::vector<std::size_t>;

/// A tensor as the header describes it.
struct TensorInfo {
  std::string dtype;  ///< "F32", "I64", ...
  Shape shape;
  std::uint64_t begin = 0;  ///< bytes, counted from the end of the header
  std::uint64_t end = 0;
};

/// A file from anyone: the constructor refuses a header that is not exactly what the format demands
/// (at most 4 MiB long, no key twice, tensors that fill the rest of the file without gap or
/// overlap, each as long as its type and shape say). Tensors are read one by one, so memory is
/// bounded by the header and the tensors asked for.
class Reader {
 public:
  explicit Reader(const std::filesystem::path& path);
  /// Of the bytes of a file, which must live as long.
  explicit Reader(std::string_view bytes);

  [[nodiscard]] const std::map<std::string, TensorInfo>& tensors() const { return tensors_; }
  [[nodiscard]] const Metadata& metadata() const { return metadata_; }

  /// Fails unless read_float32 can read the tensor, whose shape is then that of its bytes.
  void require_float32(const std::string& name) const;
  /// The values of a tensor of type F32, or of F64, F16 or BF16 converted to float32. `name` is one
  /// of tensors().
  [[nodiscard]] std::vector<float> read_float32(const std::string& name);
  /// The bytes of a tensor of type U8.
  [[nodiscard]] std::string read_text(const std::string& name);

 private:
  Reader(const std::filesystem::path& path, std::uint64_t file_bytes);
  void read_header(std::uint64_t file_bytes);
  void parse_header(std::string_view text);

  InputFile file_;
  std::uint64_t data_start_ = 0;
  std::map<std::string, TensorInfo> tensors_;
  Metadata metadata_;
};

/// A tensor to be written: row-major, as many values as the shape says, float32 or bytes.
struct Tensor {
  std::string name;
  Shape shape;
  std::vector<float> values;
  std::string text{};  ///< of a tensor without values: its bytes, of type U8
};

/// The header of a file, without its length. Texts must be UTF-8; a header too long to be read
/// again is refused.
[[nodiscard]] std::string encode_header(const std::map<std::string, TensorInfo>& tensors,
                                        const Metadata& metadata);
/// The bytes of a file with these tensors, in this order, and such a header.
[[nodiscard]] std::string encode(const std::vector<Tensor>& tensors, const Metadata& metadata);

}  // namespace lockstep::safetensors
