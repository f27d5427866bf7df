#include "data/arrays.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>

#include "binary.h"
#include "data/mapped_file.h"
#include "data/sequence_builder.h"
#include "lookup.h"

namespace lockstep::data_file {
namespace {

std::string number_text(double value) { return std::to_string(value); }

// The arrays of a set, with everything known of them checked but the values.
class Arrays {
 public:
  Arrays(Reading& reading, const ArraySource& source)
      : name_(reading.path.string()),
        options_(reading.options),
        source_(source),
        values_(find_values()) {
    kind_ = find_kind(reading.notes);
    check_one_per_sequence(lengths_, "lengths");
    check_one_per_sequence(weights_, "sample_weight");
    if (lengths_ && !lengths_->is_integer()) {
      fail("lengths has type " + in_quotes(lengths_->dtype) + ", expected integers");
    }
    if (weights_ && !weights_->is_number()) {
      fail("sample_weight has type " + in_quotes(weights_->dtype) + ", expected numbers");
    }
  }

  [[nodiscard]] std::size_t size() const { return values_.shape[0]; }
  [[nodiscard]] std::size_t steps() const { return values_.shape[step_axis()]; }
  [[nodiscard]] std::size_t channels() const {
    return values_.shape.size() == 3 ? values_.shape[3 - step_axis()] : 1;
  }

  [[nodiscard]] std::size_t length(std::size_t i) const {
    if (!lengths_) return steps();
    const std::int64_t length = lengths_->integer_at(i);
    if (length < 1 || static_cast<std::uint64_t>(length) > steps()) {
      fail("lengths[" + std::to_string(i) + "] is " + std::to_string(length) + ", expected 1 to " +
           std::to_string(steps()));
    }
    return static_cast<std::size_t>(length);
  }

  [[nodiscard]] float weight(std::size_t i) const {
    if (!weights_) return 1;
    const double weight = weights_->number_at(i);
    if (weight >= 0 && weight <= std::numeric_limits<float>::max()) {
      return static_cast<float>(weight);
    }
    fail("sample_weight[" + std::to_string(i) + "] is " + number_text(weight) +
         ", expected a number of 0 or more");
  }

  [[nodiscard]] TargetKind kind() const { return kind_; }
  [[nodiscard]] bool has_targets() const { return labels_.has_value(); }
  // Of a one-hot y, whose columns may not all occur.
  [[nodiscard]] std::vector<std::string> declared_classes() const {
    std::vector<std::string> names;
    for (std::size_t c = 0; is_one_hot_ && c < y().shape[1]; ++c) {
      names.push_back(std::to_string(c));
    }
    return names;
  }
  // Of a sequence, or of its timestep.
  [[nodiscard]] std::string label(std::size_t i, std::size_t step = 0) const {
    if (!is_one_hot_) return y().text_at(target_place(i, step, 0));
    for (std::size_t c = 0; c < y().shape[1]; ++c) {
      if (y().number_at(target_place(i, 0, c)) == 1) return std::to_string(c);
    }
    return "";
  }
  // Numbers for each sequence or timestep.
  [[nodiscard]] std::size_t outputs() const {
    const std::vector<std::size_t>& shape = y().shape;
    const std::size_t inner = is_of_steps(kind_) ? 2 : 1;
    return shape.size() > inner ? shape[inner] : 1;
  }
  [[nodiscard]] float target(std::size_t i, std::size_t step, std::size_t output) const {
    const double value = y().number_at(target_place(i, step, output));
    if (std::abs(value) > std::numeric_limits<float>::max()) {
      fail("y[" + std::to_string(i) + "] holds " + number_text(value) +
           ", expected float32 numbers");
    }
    return static_cast<float>(value);
  }

  // Whether the values are float32 numbers in the order of a data set.
  [[nodiscard]] bool is_float32() const {
    return values_.dtype == "<f4" && !values_.fortran_order && step_axis() == 1;
  }
  // Why they cannot stay where they are; "" if they can.
  [[nodiscard]] std::string reason_to_copy() const {
    if (values_.dtype != "<f4") return "X has type " + in_quotes(values_.dtype);
    if (values_.fortran_order) return "X is in Fortran order";
    if (step_axis() != 1) return "the axes of X are exchanged";
    const auto address = reinterpret_cast<std::uintptr_t>(values_.element(0));
    return address % alignof(float) == 0 ? "" : "X is not aligned";
  }
  [[nodiscard]] const NpyArray& values() const { return values_; }
  // [length][channels] of sequence i, NaN where one is missing.
  void read_values(std::size_t i, std::vector<float>& values) const {
    values.resize(length(i) * channels());
    if (is_float32()) {
      std::memcpy(values.data(), values_.element(i * steps() * channels()),
                  values.size() * sizeof(float));
    } else {
      for (std::size_t at = 0; at < values.size(); ++at) {
        values[at] =
            static_cast<float>(values_.number_at(value_place(i, at / channels(), at % channels())));
      }
    }
    const auto bad = std::ranges::find_if(values, [](float value) { return std::isinf(value); });
    if (bad != values.end()) refuse_value(i, static_cast<std::size_t>(bad - values.begin()));
    const auto gap = find_gap(values);
    if (gap && !options_.allow_missing) refuse_value(i, *gap);
  }

  [[noreturn]] void refuse_empty(std::size_t i) const {
    fail("X[" + std::to_string(i) + "] has no values: all are missing");
  }

 private:
  [[noreturn]] void fail(const std::string& message) const {
    throw DataError(name_ + ": " + message);
  }
  // Where there are targets.
  [[nodiscard]] const NpyArray& y() const {
    if (!labels_) fail("there is no array y");
    return *labels_;
  }

  // A value that is missing, but not at the end of the sequence.
  [[nodiscard]] std::optional<std::size_t> find_gap(const std::vector<float>& values) const {
    const auto is_missing = [](float value) { return std::isnan(value); };
    const auto gap = std::ranges::find_if(values, is_missing);
    if (gap == values.end()) return std::nullopt;
    const auto at = static_cast<std::size_t>(gap - values.begin());
    const bool ends = at % channels() == 0 && std::all_of(gap, values.end(), is_missing);
    return ends ? std::nullopt : std::optional(at);
  }

  [[noreturn]] void refuse_value(std::size_t i, std::size_t at) const {
    const std::size_t step = at / channels();
    const std::size_t channel = at % channels();
    const double value = values_.number_at(value_place(i, step, channel));
    const std::string place = "X[" + std::to_string(i) + "], step " + std::to_string(step) +
                              ", channel " + std::to_string(channel);
    if (std::isnan(value)) fail(place + kIsMissing);
    fail(place + " is " + number_text(value) + ", expected a finite float32 number");
  }

  [[nodiscard]] std::size_t step_axis() const {
    return values_.shape.size() == 3 && options_.axes == Axes::NCT ? 2 : 1;
  }
  [[nodiscard]] std::size_t value_place(std::size_t i, std::size_t step,
                                        std::size_t channel) const {
    const bool exchanged = step_axis() == 2;
    return values_.place_of({i, exchanged ? channel : step, exchanged ? step : channel});
  }
  [[nodiscard]] std::size_t target_place(std::size_t i, std::size_t step,
                                         std::size_t output) const {
    if (is_of_steps(kind_)) return y().place_of({i, step, output});
    return y().place_of({i, output, 0});
  }

  [[nodiscard]] NpyArray find_values() const {
    NpyArray values = source_.values();
    const std::vector<std::size_t>& shape = values.shape;
    const bool has_zero = std::ranges::find(shape, std::size_t{0}) != shape.end();
    if ((shape.size() != 2 && shape.size() != 3) || has_zero) {
      fail("X has shape " + shape_text(shape) +
           ", expected [N][T][D] or [N][T] with sizes of at least 1");
    }
    if (!values.is_number()) {
      fail("X has type " + in_quotes(values.dtype) + ", expected numbers");
    }
    return values;
  }

  // Whether each row of y has a single 1 and otherwise 0.
  [[nodiscard]] bool are_one_hot() const {
    const std::vector<std::size_t>& shape = y().shape;
    if (shape.size() != 2 || shape[1] < 2 || !y().is_number()) return false;
    for (std::size_t i = 0; i < shape[0]; ++i) {
      std::size_t ones = 0;
      for (std::size_t c = 0; c < shape[1]; ++c) {
        const double value = y().number_at(y().place_of({i, c, 0}));
        if (value != 0 && value != 1) return false;
        ones += value == 1 ? 1 : 0;
      }
      if (ones != 1) return false;
    }
    return true;
  }

  // What y has if nothing is asked for.
  [[nodiscard]] TargetKind found_kind() const {
    const std::vector<std::size_t>& shape = y().shape;
    const bool is_column = shape.size() == 2 && shape[1] == 1;
    if (shape.size() == 3) return TargetKind::step_values;
    if (shape.size() != 2) return TargetKind::label;
    if (y().is_float()) return TargetKind::values;
    return is_column ? TargetKind::label : TargetKind::step_labels;
  }

  // By the shape of y, or as it is wanted; throws where they do not agree.
  [[nodiscard]] TargetKind find_kind(std::vector<std::string>& notes) {
    const std::optional<TargetKind>& wanted = options_.targets;
    if (!labels_) return wanted && is_label(*wanted) ? *wanted : TargetKind::label;
    const std::vector<std::size_t>& shape = y().shape;
    const bool has_steps = shape.size() >= 2 && shape[1] == steps();
    const bool may_be_classes = !wanted || *wanted == TargetKind::label;
    if (may_be_classes && !has_steps && shape.size() == 2 && shape[0] == size() && are_one_hot()) {
      is_one_hot_ = true;
      notes.push_back("y has a single 1 in each row: its " + std::to_string(shape[1]) +
                      " columns are taken for classes");
      return TargetKind::label;
    }
    const TargetKind kind = wanted.value_or(found_kind());
    const std::size_t most = kind == TargetKind::step_values ? 3
                             : kind == TargetKind::label     ? 1
                                                             : 2;
    const bool is_column = kind == TargetKind::label && shape.size() == 2 && shape[1] == 1;
    const bool fits = !shape.empty() && shape[0] == size() && (shape.size() <= most || is_column) &&
                      (!is_of_steps(kind) || has_steps) &&
                      std::ranges::find(shape, std::size_t{0}) == shape.end() &&
                      (is_label(kind) || y().is_number());
    if (fits) return kind;
    const std::string n = std::to_string(size());
    const std::string t = std::to_string(steps());
    const std::string expected =
        kind == TargetKind::label         ? "[" + n + "]"
        : kind == TargetKind::step_labels ? "[" + n + "][" + t + "]"
        : kind == TargetKind::values
            ? "[" + n + "] or [" + n + "][outputs] of numbers"
            : "[" + n + "][" + t + "] or [" + n + "][" + t + "][outputs] of numbers";
    fail("y has shape " + shape_text(shape) + " and type " + in_quotes(y().dtype) + ", expected " +
         expected + " as X has " + n + " sequences");
  }

  void check_one_per_sequence(const std::optional<NpyArray>& array, const std::string& key) const {
    if (array && array->shape != std::vector<std::size_t>{size()}) {
      fail(key + " has shape " + shape_text(array->shape) + ", expected [" +
           std::to_string(size()) + "] as X has " + std::to_string(size()) + " sequences");
    }
  }

  std::string name_;
  const ReadOptions& options_;
  const ArraySource& source_;
  NpyArray values_;
  std::optional<NpyArray> labels_ = options_.ignores_targets ? std::nullopt : source_.targets();
  std::optional<NpyArray> lengths_ = source_.beside_values("lengths");
  std::optional<NpyArray> weights_ =
      options_.ignores_targets ? std::nullopt : source_.beside_values("sample_weight");
  bool is_one_hot_ = false;
  TargetKind kind_ = TargetKind::label;
};

// Of a sequence that was added with `steps` timesteps.
void add_labels(const Arrays& arrays, std::size_t i, std::size_t steps, SequenceBuilder& builder) {
  const std::size_t rows = is_of_steps(arrays.kind()) ? steps : 1;
  for (std::size_t step = 0; step < rows; ++step) {
    if (arrays.has_targets()) {
      const std::string label = arrays.label(i, step);
      builder.add_label(present_label(label));
    } else {
      builder.add_label(std::nullopt);
    }
  }
}

void add_numbers(const Arrays& arrays, std::size_t i, std::size_t steps, SequenceBuilder& builder) {
  const std::size_t rows = is_of_steps(arrays.kind()) ? steps : 1;
  for (std::size_t step = 0; step < rows; ++step) {
    for (std::size_t j = 0; j < arrays.outputs(); ++j) {
      const float target = arrays.target(i, step, j);
      builder.add_targets({&target, 1});
    }
  }
}

// The values where they are, of each sequence up to the last timestep that has some.
SequenceBuilder builder_over(const Arrays& arrays) {
  const NpyArray& x = arrays.values();
  const auto* first = reinterpret_cast<const float*>(x.element(0));
  const std::span<const float> values(first, arrays.size() * arrays.steps() * arrays.channels());
  std::vector<std::size_t> lengths;
  std::size_t left_out = 0;
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    const std::size_t begin = i * arrays.steps() * arrays.channels();
    const auto all = values.subspan(begin, arrays.length(i) * arrays.channels());
    lengths.push_back(known_timesteps(all, arrays.channels()));
    if (lengths[i] == 0) arrays.refuse_empty(i);
    left_out += arrays.length(i) - lengths[i];
  }
  Dataset data =
      Dataset::over(arrays.channels(), values, arrays.steps(), std::move(lengths), x.owner);
  read_as_asked(data);
  return {std::move(data), left_out, arrays.declared_classes()};
}

SequenceBuilder builder_of_copies(const Arrays& arrays) {
  SequenceBuilder builder(arrays.channels(), arrays.declared_classes());
  builder.data().reserve(arrays.size(), arrays.size() * arrays.steps());
  std::vector<float> values;
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    arrays.read_values(i, values);
    if (known_timesteps(values, arrays.channels()) == 0) arrays.refuse_empty(i);
    builder.add(values);
  }
  return builder;
}

}  // namespace

Dataset read_arrays(Reading& reading, const ArraySource& source, bool is_mapped) {
  const Arrays arrays(reading, source);
  const std::string reason = arrays.reason_to_copy();
  if (is_mapped && !reason.empty()) {
    reading.notes.push_back(reason +
                            ", so that all of it is in memory; float32 [N][T][D] in C order is "
                            "read from the file as it is needed");
  }
  SequenceBuilder builder =
      is_mapped && reason.empty() ? builder_over(arrays) : builder_of_copies(arrays);
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    const std::size_t steps = builder.data().length(i);
    builder.data().set_weight(i, arrays.weight(i));
    is_label(arrays.kind()) ? add_labels(arrays, i, steps, builder)
                            : add_numbers(arrays, i, steps, builder);
  }
  reading.note_ends(builder);
  if (is_label(arrays.kind())) return builder.build(arrays.kind());
  std::vector<std::string> names;
  names.reserve(arrays.outputs());
  for (std::size_t j = 0; j < arrays.outputs(); ++j) names.push_back("y" + std::to_string(j));
  return builder.build(arrays.kind(), std::move(names));
}

}  // namespace lockstep::data_file
