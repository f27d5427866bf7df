#include <algorithm>
#include <cmath>
#include <limits>

#include "binary.h"
#include "data/data_file_formats.h"
#include "data/npz.h"

namespace lockstep::data_file {
namespace {

// The three arrays of a set, with everything known of them checked but the values.
class Arrays {
 public:
  explicit Arrays(const std::filesystem::path& path)
      : name_(path.string()),
        entries_(read_zip_entries(path, {"X.npy", "y.npy", "lengths.npy"})),
        values_(find_values()) {
    check_one_per_sequence(labels_, "y");
    check_one_per_sequence(lengths_, "lengths");
    if (lengths_ && !lengths_->is_integer()) {
      fail("lengths has type " + in_quotes(lengths_->dtype) + ", expected integers");
    }
  }

  [[nodiscard]] std::size_t size() const { return values_.shape[0]; }
  [[nodiscard]] std::size_t channels() const {
    return values_.shape.size() == 3 ? values_.shape[2] : 1;
  }

  [[nodiscard]] std::size_t length(std::size_t i) const {
    const std::size_t longest = values_.shape[1];
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
    const std::size_t steps = values_.shape[1];
    const std::size_t place = values_.fortran_order ? i + size() * (step + steps * channel)
                                                    : (i * steps + step) * channels() + channel;
    const double value = values_.float_at(place);
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

  [[nodiscard]] std::optional<NpyArray> take(const std::string& entry) {
    const auto found = entries_.find(entry);
    if (found == entries_.end()) return std::nullopt;
    return NpyArray(std::move(found->second), name_ + ": entry " + in_quotes(entry));
  }

  [[nodiscard]] NpyArray find_values() {
    std::optional<NpyArray> values = take("X.npy");
    if (!values) fail("the archive has no array X");
    const std::vector<std::size_t>& shape = values->shape;
    const bool has_zero = std::find(shape.begin(), shape.end(), 0U) != shape.end();
    if ((shape.size() != 2 && shape.size() != 3) || has_zero) {
      fail("X has shape " + shape_text(values->shape) +
           ", expected [N][T][D] or [N][T] with sizes of at least 1");
    }
    if (!values->is_float()) {
      fail("X has type " + in_quotes(values->dtype) + ", expected float32 or float64");
    }
    return *std::move(values);
  }

  void check_one_per_sequence(const std::optional<NpyArray>& array, const std::string& key) const {
    if (array && array->shape != std::vector<std::size_t>{size()}) {
      fail(key + " has shape " + shape_text(array->shape) + ", expected [" +
           std::to_string(size()) + "] as X has " + std::to_string(size()) + " sequences");
    }
  }

  std::string name_;
  std::map<std::string, std::string> entries_;
  NpyArray values_;
  std::optional<NpyArray> labels_ = take("y.npy");
  std::optional<NpyArray> lengths_ = take("lengths.npy");
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
