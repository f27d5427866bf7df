// Sequences with targets, of NumPy arrays or files.
#include "lockstep/rnn/dataset.h"

#include <nanobind/ndarray.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "arguments.h"
#include "arrays.h"
#include "bindings.h"
#include "gil.h"
#include "lockstep/error.h"
#include "lockstep/rnn/builtin_data.h"
#include "lockstep/rnn/data_file.h"
#include "lockstep/rnn/trainer.h"
#include "sequences.h"

namespace lockstep::python {
namespace {

using Names = std::vector<std::string>;
using Paths = std::vector<std::filesystem::path>;

constexpr std::pair<TargetKind, const char*> kTargetKinds[] = {
    {TargetKind::label, "label"},
    {TargetKind::step_labels, "step_labels"},
    {TargetKind::values, "values"},
    {TargetKind::step_values, "step_values"}};

const char* name_of(TargetKind kind) {
  return std::ranges::find(kTargetKinds, kind, &std::pair<TargetKind, const char*>::first)->second;
}

TargetKind kind_named(const std::string& name) {
  for (const auto& [kind, known] : kTargetKinds) {
    if (name == known) return kind;
  }
  throw InvalidArgument("targets: expected label, step_labels, values or step_values, found '" +
                        name + "'");
}

// "0", "1", ... for labels that have no names.
Names numbered(std::size_t count) {
  Names names;
  for (std::size_t c = 0; c < count; ++c) names.push_back(std::to_string(c));
  return names;
}

void set_labels(Dataset& data, TargetKind kind, std::vector<int> labels,
                std::optional<Names> names) {
  if (!names) {
    const int largest = labels.empty() ? kNoLabel : *std::ranges::max_element(labels);
    if (largest >= static_cast<int>(kMaxUnits)) {
      throw InvalidArgument("labels: " + std::to_string(largest) + ", expected at most " +
                            std::to_string(kMaxUnits - 1));
    }
    names = numbered(largest < 0 ? 0 : static_cast<std::size_t>(largest) + 1);
  }
  data.set_targets(kind, std::move(*names), std::move(labels), {});
}

void set_values(Dataset& data, TargetKind kind, StepRows<float> rows, std::optional<Names> names) {
  const auto is_infinite = [](float value) { return std::isinf(value); };
  if (std::ranges::any_of(rows.values, is_infinite)) {
    throw InvalidArgument(std::string(name_of(kind)) + ": a target is infinite");
  }
  data.set_targets(kind, names ? std::move(*names) : numbered(rows.width), {},
                   std::move(rows.values));
}

// What is known of the sequences: one of these at most.
struct Targets {
  nb::object labels;
  nb::object step_labels;
  nb::object values;
  nb::object step_values;
  std::optional<Names> names;

  [[nodiscard]] int count() const {
    return (labels.is_none() ? 0 : 1) + (step_labels.is_none() ? 0 : 1) +
           (values.is_none() ? 0 : 1) + (step_values.is_none() ? 0 : 1);
  }
};

void set_targets(Dataset& data, Targets targets) {
  if (targets.count() > 1) {
    throw InvalidArgument("expected one of labels, step_labels, values and step_values");
  }
  if (!targets.labels.is_none()) {
    set_labels(data, TargetKind::label, labels_of(data, targets.labels), std::move(targets.names));
  } else if (!targets.step_labels.is_none()) {
    set_labels(data, TargetKind::step_labels, step_labels_of(data, targets.step_labels),
               std::move(targets.names));
  } else if (!targets.values.is_none()) {
    set_values(data, TargetKind::values, values_of(data, targets.values), std::move(targets.names));
  } else if (!targets.step_values.is_none()) {
    set_values(data, TargetKind::step_values, step_values_of(data, targets.step_values),
               std::move(targets.names));
  } else if (targets.names) {
    set_labels(data, TargetKind::label, std::vector<int>(data.size(), kNoLabel),
               std::move(targets.names));
  }
}

void set_weights(Dataset& data, const nb::object& weights) {
  if (weights.is_none()) return;
  Buffer buffer;
  take_floats(buffer, weights, "weights");
  const auto values = buffer.values<const float>();
  if (buffer.ndim() != 1 || values.size() != data.size()) {
    throw InvalidArgument("weights: expected one for each of " + std::to_string(data.size()) +
                          " sequences, found shape " + shape_text(buffer));
  }
  for (std::size_t i = 0; i < values.size(); ++i) data.set_weight(i, values[i]);
}

void set_ids(Dataset& data, std::optional<Names> ids) {
  if (!ids) return;
  if (ids->size() != data.size()) {
    throw InvalidArgument("ids: expected one for each of " + std::to_string(data.size()) +
                          " sequences, found " + std::to_string(ids->size()));
  }
  for (std::size_t i = 0; i < ids->size(); ++i) data.set_id(i, std::move((*ids)[i]));
}

void make(Dataset* self, const nb::object& sequences, nb::object labels, nb::object step_labels,
          nb::object values, nb::object step_values, std::optional<Names> class_names,
          const nb::object& lengths, const nb::object& weights, std::optional<Names> channel_names,
          std::optional<Names> ids) {
  Dataset data = dataset_of(sequences, lengths);
  set_targets(data, {std::move(labels), std::move(step_labels), std::move(values),
                     std::move(step_values), std::move(class_names)});
  set_weights(data, weights);
  if (channel_names) data.set_channel_names(std::move(*channel_names));
  set_ids(data, std::move(ids));
  new (self) Dataset(std::move(data));
}

std::size_t index_in(const Dataset& data, std::ptrdiff_t i) {
  const auto size = static_cast<std::ptrdiff_t>(data.size());
  if (i < -size || i >= size) throw nb::index_error("there is no such sequence");
  return static_cast<std::size_t>(i < 0 ? i + size : i);
}

using SequenceView = nb::ndarray<const float, nb::numpy, nb::ndim<2>, nb::c_contig>;

SequenceView sequence_of(const nb::object& self, std::ptrdiff_t index) {
  const auto& data = nb::cast<const Dataset&>(self);
  const std::size_t i = index_in(data, index);
  return {data.sequence(i).data(), {data.length(i), data.channels()}, self};
}

Dataset subset(const Dataset& data, const nb::object& indices) {
  Buffer buffer;
  take_indices(buffer, indices, "indices");
  std::vector<std::size_t> places;
  for (const std::int64_t i : buffer.values<const std::int64_t>()) {
    places.push_back(index_in(data, i));
  }
  return data.subset(places);
}

nb::object labels(const Dataset& data) {
  if (!is_label(data.target_kind())) return nb::none();
  return int_array(data.labels(), {data.labels().size()});
}

nb::object values(const Dataset& data) {
  if (is_label(data.target_kind())) return nb::none();
  std::vector<float> all;
  for (std::size_t i = 0; i < data.size(); ++i) {
    all.insert(all.end(), data.targets(i).begin(), data.targets(i).end());
  }
  return float_array(all, {all.size() / data.classes(), data.classes()});
}

nb::object lengths(const Dataset& data) {
  std::vector<std::size_t> all(data.size());
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = data.length(i);
  return index_array(all, {all.size()});
}

nb::object weights(const Dataset& data) {
  std::vector<float> all(data.size());
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = data.weight(i);
  return float_array(all);
}

Names ids(const Dataset& data) {
  Names all;
  for (std::size_t i = 0; data.has_ids() && i < data.size(); ++i) all.push_back(data.id(i));
  return all;
}

nb::object reduced(const nb::object& self) {
  return nb::module_::import_("lockstep._pickling").attr("reduced")(self);
}

std::string text_of(const Dataset& data) {
  return "<lockstep.Dataset: " + std::to_string(data.size()) + " sequences of up to " +
         std::to_string(data.max_length()) + " timesteps, " + std::to_string(data.channels()) +
         " channels, targets " + name_of(data.target_kind()) + " (" +
         std::to_string(data.classes()) + ")>";
}

Dataset load(nb::handle file, const std::optional<std::string>& targets, const std::string& format,
             const std::string& axes, const std::string& x, const std::string& y,
             bool ignore_targets) {
  ReadOptions options{
      .ignores_targets = ignore_targets, .format = format, .allow_missing = true, .x = x, .y = y};
  if (targets) options.targets = kind_named(*targets);
  if (axes != "NTC" && axes != "NCT") {
    throw InvalidArgument("axes: expected NTC or NCT, found '" + axes + "'");
  }
  options.axes = axes == "NCT" ? Axes::NCT : Axes::NTC;
  const std::filesystem::path path = path_in(file);
  const ReleaseGil release;
  return read_dataset(path, options);
}

std::pair<Dataset, Dataset> builtin(const std::string& name, std::uint64_t seed) {
  TrainTest parts = make_builtin_dataset(name, seed);
  return {std::move(parts.train), std::move(parts.test)};
}

std::pair<Dataset, Dataset> split(const Dataset& data, double share, std::uint64_t seed) {
  ValidationSplit parts = split_validation(data, share, seed);
  return {std::move(parts.train), std::move(parts.validation)};
}

}  // namespace

void bind_dataset(nb::module_& m) {
  using namespace nb::literals;
  nb::class_<Dataset>(m, "Dataset", R"(Sequences of unequal length with targets; it never changes.

len(), an index and a loop give its sequences, [timesteps, channels], to be read only. Several
threads may use a set at a time.

Parameters
----------
sequences : array or list
    A float32 array [n, timesteps, channels] in C order, which is read where it is and must not be
    changed while the set lives, or a list of arrays [timesteps, channels] or [timesteps], which are
    copied. Other arrays of numbers are converted. NaN is a missing value, which a model refuses or
    fills, by its option `missing`.
labels : array of int [n]
    Indices of `class_names`, -1 where the class is not known. There is at most one kind of targets:
    this or one of the next three.
step_labels : array of int
    One for each timestep: a list of [timesteps], [n, timesteps] or [all timesteps].
values : array of float [n] or [n, outputs]
    NaN where a number is not known.
step_values : array of float
    The same for each timestep: a list of [timesteps, outputs], [n, timesteps, outputs] or
    [all timesteps, outputs].
class_names : list of str
    Of the classes, or of the outputs; without them "0", "1" and so on.
lengths : array of int [n]
    How many timesteps of a padded array belong to each sequence.
weights : array of float [n]
    How much the targets of each sequence count in the loss of a training: 0 or more. Inputs and
    targets are standardised as if all were 1.
channel_names, ids : list of str
    What the channels and the sequences are called.

Raises
------
ValueError
    For other shapes, labels that are no index of `class_names`, and lengths or weights out of their
    ranges.)")
      .def("__init__", make, "sequences"_a, nb::kw_only(), "labels"_a = nb::none(),
           "step_labels"_a = nb::none(), "values"_a = nb::none(), "step_values"_a = nb::none(),
           "class_names"_a = nb::none(), "lengths"_a = nb::none(), "weights"_a = nb::none(),
           "channel_names"_a = nb::none(), "ids"_a = nb::none())
      .def("__len__", &Dataset::size)
      .def("__getitem__", sequence_of, "index"_a,
           "Sequence `index`, [timesteps, channels], to be read only.")
      .def("__repr__", text_of)
      .def("__reduce__", reduced, nb::sig("def __reduce__(self) -> tuple[typing.Any, ...]"))
      .def_prop_ro("n_channels", &Dataset::channels, "Values of a timestep.")
      .def_prop_ro("n_classes", &Dataset::classes, "Number of classes, or of outputs.")
      .def_prop_ro("class_names", &Dataset::class_names, "Texts of the classes or outputs.")
      .def_prop_ro("channel_names", &Dataset::channel_names,
                   "What the channels are called; empty if they have no names.")
      .def_prop_ro("ids", ids, "What the sequences are called; empty if they have no names.")
      .def_prop_ro(
          "target_kind", [](const Dataset& data) { return name_of(data.target_kind()); },
          "'label', 'step_labels', 'values' or 'step_values'.")
      .def_prop_ro(
          "labels", labels, nb::sig("def labels(self) -> numpy.ndarray | None"),
          "Classes of the sequences, or of all timesteps, -1 where it is not known; None without.")
      .def_prop_ro("values", values, nb::sig("def values(self) -> numpy.ndarray | None"),
                   "Numbers of the sequences, or of all timesteps, [..., outputs]; None without.")
      .def_prop_ro("weights", weights, nb::sig("def weights(self) -> numpy.ndarray"),
                   "How much the sequences count in a training.")
      .def_prop_ro("lengths", lengths, nb::sig("def lengths(self) -> numpy.ndarray"),
                   "Timesteps of the sequences.")
      .def_prop_ro("max_length", &Dataset::max_length, "Timesteps of the longest sequence.")
      .def_prop_ro("total_timesteps", &Dataset::total_timesteps, "Timesteps of all sequences.")
      .def_prop_ro("missing_values", &Dataset::missing_values, "How many values are NaN.")
      .def_prop_ro("is_view", &Dataset::is_over_other_memory,
                   "Whether the values are read where they were given.")
      .def("subset", subset, "indices"_a,
           "The sequences with these indices, in this order, as a Dataset of its own. A mask of "
           "booleans is refused: numpy.flatnonzero gives its indices.")
      .def("split", split, "share"_a, "seed"_a = 1,
           "Holds out a share of each class, which the seed draws: a pair (the others, held out).")
      .def("with_classes", &Dataset::with_classes, "class_names"_a,
           "The same sequences with labels renumbered to `class_names`, matched by name.")
      .def_static("load", load, "path"_a.none(), nb::kw_only(), "targets"_a = nb::none(),
                  "format"_a = "", "axes"_a = "NTC", "x"_a = "", "y"_a = "",
                  "ignore_targets"_a = false,
                  nb::sig("def load(path: str | os.PathLike[str], *, targets: str | None = None, "
                          "format: str = '', axes: str = 'NTC', x: str = '', y: str = '', "
                          "ignore_targets: bool = False) -> Dataset"),
                  R"(Reads a .ts, .tsv, .txt, .csv, .arff, .npz or .npy file.

Missing values are NaN.

Parameters
----------
path : str or PathLike
targets : str
    What to learn of it, a value of `target_kind`; None: as the file says.
format : str
    An ending without its dot, "csv"; "": that of the name.
axes : 'NTC' or 'NCT'
    The order of the axes of the values of a .npz or .npy file.
x, y : str
    What the values and the targets are called in a .npz file.
ignore_targets : bool
    Whether targets of the file are passed over.

Raises
------
FileError
    If the file cannot be read, or is not what it should be; with the line or array.)")
      .def_static(
          "builtin", builtin, "name"_a, "seed"_a = 1,
          "Makes a built-in set, a pair (training part, test part). `lockstep.info()` lists them.");
}

}  // namespace lockstep::python
