#include "data/data_file_formats.h"

#ifdef LOCKSTEP_HAVE_LIBZIP

#include <zip.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "data/npy_array.h"

namespace lockstep::data_file {
namespace {

// A zip archive open for reading.
class Archive {
 public:
  explicit Archive(const std::filesystem::path& path)
      : name_(path.string()), file_bytes_(std::filesystem::file_size(path)) {
    int code = 0;
    zip_.reset(zip_open(name_.c_str(), ZIP_RDONLY, &code));
    if (!zip_) throw DataError(name_ + ": the file is not a readable .npz (zip) archive");
  }

  // The array under `key` (the entry "key.npy"); none if there is no such entry.
  [[nodiscard]] std::optional<NpyArray> find(const std::string& key) const {
    const std::string entry = key + ".npy";
    const std::string place = name_ + ": entry " + in_quotes(entry);
    zip_stat_t status;
    if (zip_stat(zip_.get(), entry.c_str(), 0, &status) != 0) return std::nullopt;
    check(status, place);
    return NpyArray(read(status, place), place);
  }

 private:
  struct CloseArchive {
    void operator()(zip_t* zip) const { zip_discard(zip); }
  };
  struct CloseEntry {
    void operator()(zip_file_t* file) const { zip_fclose(file); }
  };

  // Before memory is taken: what the archive claims must be possible for a file of its size.
  void check(const zip_stat_t& status, const std::string& place) const {
    constexpr std::uintmax_t kLargestDeflateRatio = 1032;
    constexpr zip_uint64_t kNeeded = ZIP_STAT_SIZE | ZIP_STAT_COMP_METHOD;
    if ((status.valid & kNeeded) != kNeeded) throw DataError(place + " has no size");
    if (status.comp_method != ZIP_CM_STORE && status.comp_method != ZIP_CM_DEFLATE) {
      throw DataError(place + " has compression method " + std::to_string(status.comp_method) +
                      ", expected stored or deflated");
    }
    if (status.size / kLargestDeflateRatio > file_bytes_) {
      throw DataError(place + " claims " + std::to_string(status.size) +
                      " bytes, more than the file can hold");
    }
  }

  [[nodiscard]] std::string read(const zip_stat_t& status, const std::string& place) const {
    const std::unique_ptr<zip_file_t, CloseEntry> file(
        zip_fopen_index(zip_.get(), status.index, 0));
    if (!file) throw DataError(place + " cannot be opened: " + zip_strerror(zip_.get()));
    std::string bytes(status.size, '\0');
    std::size_t done = 0;
    zip_int64_t count = 0;
    while ((count = zip_fread(file.get(), bytes.data() + done, bytes.size() - done)) > 0) {
      done += static_cast<std::size_t>(count);
    }
    char beyond = 0;  // the checksum is compared when a read meets the end
    if (count < 0 || done != bytes.size() || zip_fread(file.get(), &beyond, 1) != 0) {
      throw DataError(place + " is damaged: its data is cut short or fails its checksum");
    }
    return bytes;
  }

  std::string name_;
  std::uintmax_t file_bytes_;
  std::unique_ptr<zip_t, CloseArchive> zip_;
};

std::string shape_text(const NpyArray& array) {
  std::string text;
  for (const std::size_t size : array.shape()) text.append("[").append(std::to_string(size)) += "]";
  return text.empty() ? "[]" : text;
}

// The three arrays of a set, with everything known of them checked but the values.
class Arrays {
 public:
  explicit Arrays(const std::filesystem::path& path)
      : name_(path.string()), archive_(path), values_(find_values()) {
    check_one_per_sequence(labels_, "y");
    check_one_per_sequence(lengths_, "lengths");
    if (lengths_ && !lengths_->is_integer()) {
      fail("lengths has type " + in_quotes(lengths_->dtype()) + ", expected integers");
    }
  }

  [[nodiscard]] std::size_t size() const { return values_.shape()[0]; }
  [[nodiscard]] std::size_t channels() const {
    return values_.shape().size() == 3 ? values_.shape()[2] : 1;
  }

  [[nodiscard]] std::size_t length(std::size_t i) const {
    const std::size_t longest = values_.shape()[1];
    if (!lengths_) return longest;
    const std::int64_t length = lengths_->integer_at(i);
    if (length < 1 || static_cast<std::uint64_t>(length) > longest) {
      fail("lengths[" + std::to_string(i) + "] is " + std::to_string(length) + ", expected 1 to " +
           std::to_string(longest));
    }
    return static_cast<std::size_t>(length);
  }

  [[nodiscard]] std::optional<std::string> label(std::size_t i) const {
    if (!labels_) return std::nullopt;
    std::string text = labels_->text_at(i);
    return is_missing(text) ? std::nullopt : std::optional(std::move(text));
  }

  [[nodiscard]] float value(std::size_t i, std::size_t step, std::size_t channel) const {
    const std::vector<std::size_t>& strides = values_.strides();
    const std::size_t across = strides.size() == 3 ? channel * strides[2] : 0;
    const double value = values_.float_at(i * strides[0] + step * strides[1] + across);
    if (!(std::abs(value) <= std::numeric_limits<float>::max())) {
      fail("X[" + std::to_string(i) + "][" + std::to_string(step) + "][" + std::to_string(channel) +
           "] is " + std::to_string(value) + ", expected a finite float32 number");
    }
    return static_cast<float>(value);
  }

 private:
  [[noreturn]] void fail(const std::string& message) const {
    throw DataError(name_ + ": " + message);
  }

  [[nodiscard]] NpyArray find_values() const {
    std::optional<NpyArray> values = archive_.find("X");
    if (!values) fail("the archive has no array X");
    const std::vector<std::size_t>& shape = values->shape();
    const bool has_zero = std::find(shape.begin(), shape.end(), 0U) != shape.end();
    if ((shape.size() != 2 && shape.size() != 3) || has_zero) {
      fail("X has shape " + shape_text(*values) +
           ", expected [N][T][D] or [N][T] with sizes of at least 1");
    }
    if (!values->is_float()) {
      fail("X has type " + in_quotes(values->dtype()) + ", expected float32 or float64");
    }
    return *std::move(values);
  }

  void check_one_per_sequence(const std::optional<NpyArray>& array, const std::string& key) const {
    if (array && array->shape() != std::vector<std::size_t>{size()}) {
      fail(key + " has shape " + shape_text(*array) + ", expected [" + std::to_string(size()) +
           "] as X has " + std::to_string(size()) + " sequences");
    }
  }

  std::string name_;
  Archive archive_;
  NpyArray values_;
  std::optional<NpyArray> labels_ = archive_.find("y");
  std::optional<NpyArray> lengths_ = archive_.find("lengths");
};

}  // namespace

Dataset read_npz(const std::filesystem::path& path) {
  const Arrays arrays(path);
  DatasetBuilder builder(arrays.channels());
  std::vector<float> values;
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    const std::size_t length = arrays.length(i);
    values.clear();
    for (std::size_t step = 0; step < length; ++step) {
      for (std::size_t channel = 0; channel < arrays.channels(); ++channel) {
        values.push_back(arrays.value(i, step, channel));
      }
    }
    builder.add(values, arrays.label(i));
  }
  return builder.build();
}

}  // namespace lockstep::data_file

#else

namespace lockstep::data_file {

Dataset read_npz(const std::filesystem::path& path) {
  throw DataError(path.string() + ": this build cannot read .npz files, as it is without libzip");
}

}  // namespace lockstep::data_file

#endif
