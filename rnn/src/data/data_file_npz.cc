#include <algorithm>
#include <cmath>
#include <limits>

#include "binary.h"
#include "data/data_file_formats.h"
#include "data/npz.h"

namespace lockstep::data_file {
namespace {

// The arrays of a set, with everything known of them checked but the values.
class Arrays {
 public:
  Arrays(const std::filesystem::path& path, WantedTargets wanted)
      : name_(path.string()),
        entries_(read_zip_entries(path, {"X.npy", "y.npy", "lengths.npy", "sample_weight.npy"})),
        values_(find_values()) {
    kind_ = find_kind(wanted);
    check_one_per_sequence(lengths_, "lengths");
    check_one_per_sequence(weights_, "sample_weight");
    if (weights_ && !weights_->is_float() && !weights_->is_integer()) {
      fail("sample_weight has type " + in_quotes(weights_->dtype) + ", expected numbers");
    }
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

  [[nodiscard]] float weight(std::size_t i) const {
    if (!weights_) return 1;
    const double weight = number_at(*weights_, i);
    if (weight >= 0 && weight <= std::numeric_limits<float>::max()) {
      return static_cast<float>(weight);
    }
    fail("sample_weight[" + std::to_string(i) + "] is " + std::to_string(weight) +
         ", expected a number of 0 or more");
  }

  [[nodiscard]] TargetKind kind() const { return kind_; }
  // Of a sequence, or of its timestep.
  [[nodiscard]] std::optional<std::string> label(std::size_t i, std::size_t step = 0) const {
    if (!labels_) return std::nullopt;
    std::string text = labels_->text_at(target_place(i, step, 0));
    return is_missing(text) ? std::nullopt : std::optional(std::move(text));
  }
  // Numbers for each sequence or timestep.
  [[nodiscard]] std::size_t outputs() const {
    if (!labels_) return 1;
    const std::vector<std::size_t>& shape = labels_->shape;
    const std::size_t inner = is_of_steps(kind_) ? 2 : 1;
    return shape.size() > inner ? shape[inner] : 1;
  }
  [[nodiscard]] float target(std::size_t i, std::size_t step, std::size_t output) const {
    if (!labels_) return std::numeric_limits<float>::quiet_NaN();
    const std::size_t place = target_place(i, step, output);
    const double value = number_at(*labels_, place);
    if (std::abs(value) > std::numeric_limits<float>::max()) {
      fail("y[" + std::to_string(i) + "] holds " + std::to_string(value) +
           ", expected float32 numbers");
    }
    return static_cast<float>(value);
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
  static double number_at(const NpyArray& array, std::size_t place) {
    return array.is_float() ? array.float_at(place) : static_cast<double>(array.integer_at(place));
  }

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

  [[nodiscard]] std::size_t target_place(std::size_t i, std::size_t step,
                                         std::size_t output) const {
    if (!labels_) return 0;
    const std::vector<std::size_t>& shape = labels_->shape;
    std::vector<std::size_t> index{i};
    if (is_of_steps(kind_)) index.push_back(step);
    if (index.size() < shape.size()) index.push_back(output);
    std::size_t place = 0;
    std::size_t stride = 1;
    for (std::size_t d = 0; d < shape.size(); ++d) {
      const std::size_t axis = labels_->fortran_order ? d : shape.size() - 1 - d;
      place += index[axis] * stride;
      stride *= shape[axis];
    }
    return place;
  }

  // By the shape of y, or as it is wanted; throws where they do not agree.
  [[nodiscard]] TargetKind find_kind(WantedTargets wanted) const {
    if (!labels_) {
      if (!wanted) return TargetKind::label;
      return is_label(*wanted) ? *wanted : TargetKind::label;
    }
    const std::vector<std::size_t>& shape = labels_->shape;
    const bool has_steps = shape.size() >= 2 && shape[1] == values_.shape[1];
    const bool is_float = labels_->is_float();
    TargetKind found = TargetKind::label;
    if (shape.size() == 2) found = is_float ? TargetKind::values : TargetKind::step_labels;
    if (shape.size() == 3) found = TargetKind::step_values;
    const TargetKind kind = wanted.value_or(found);
    const std::size_t most = kind == TargetKind::step_values ? 3
                             : kind == TargetKind::label     ? 1
                                                             : 2;
    const bool fits = !shape.empty() && shape[0] == size() && shape.size() <= most &&
                      (!is_of_steps(kind) || has_steps) &&
                      std::ranges::find(shape, std::size_t{0}) == shape.end() &&
                      (is_label(kind) || is_float || labels_->is_integer());
    if (fits) return kind;
    const std::string n = std::to_string(size());
    const std::string t = std::to_string(values_.shape[1]);
    const std::string expected =
        kind == TargetKind::label         ? "[" + n + "]"
        : kind == TargetKind::step_labels ? "[" + n + "][" + t + "]"
        : kind == TargetKind::values
            ? "[" + n + "] or [" + n + "][outputs] of numbers"
            : "[" + n + "][" + t + "] or [" + n + "][" + t + "][outputs] of numbers";
    fail("y has shape " + shape_text(shape) + " and type " + in_quotes(labels_->dtype) +
         ", expected " + expected + " as X has " + n + " sequences");
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
  std::optional<NpyArray> weights_ = take("sample_weight.npy");
  TargetKind kind_ = TargetKind::label;
};

std::vector<float> values_of(const Arrays& arrays, std::size_t i) {
  std::vector<float> values;
  for (std::size_t step = 0; step < arrays.length(i); ++step) {
    for (std::size_t channel = 0; channel < arrays.channels(); ++channel) {
      values.push_back(arrays.value(i, step, channel));
    }
  }
  return values;
}

Dataset read_numbers(const Arrays& arrays) {
  std::vector<std::string> names;
  names.reserve(arrays.outputs());
  for (std::size_t j = 0; j < arrays.outputs(); ++j) names.push_back("y" + std::to_string(j));
  Dataset data(arrays.channels(), arrays.kind(), names);
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    std::vector<float> targets;
    const std::size_t steps = is_of_steps(arrays.kind()) ? arrays.length(i) : 1;
    for (std::size_t step = 0; step < steps; ++step) {
      for (std::size_t j = 0; j < names.size(); ++j) targets.push_back(arrays.target(i, step, j));
    }
    data.add_values(values_of(arrays, i), targets);
  }
  return data;
}

Dataset read_labels(const Arrays& arrays) {
  DatasetBuilder builder(arrays.channels(), {}, arrays.kind());
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    if (arrays.kind() == TargetKind::label) {
      builder.add(values_of(arrays, i), arrays.label(i));
      continue;
    }
    std::vector<std::optional<std::string>> labels;
    labels.reserve(arrays.length(i));
    for (std::size_t step = 0; step < arrays.length(i); ++step) {
      labels.push_back(arrays.label(i, step));
    }
    builder.add_steps(values_of(arrays, i), labels);
  }
  return builder.build();
}

}  // namespace

Dataset read_npz(const std::filesystem::path& path, WantedTargets targets) {
  const Arrays arrays(path, targets);
  Dataset data = is_label(arrays.kind()) ? read_labels(arrays) : read_numbers(arrays);
  for (std::size_t i = 0; i < data.size(); ++i) data.set_weight(i, arrays.weight(i));
  return data;
}

}  // namespace lockstep::data_file
