#include "model.h"

#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "arguments.h"
#include "arrays.h"
#include "bindings.h"
#include "gil.h"
#include "interruption.h"
#include "lockstep/error.h"
#include "options.h"
#include "sequences.h"
#include "training.h"

namespace lockstep::python {
namespace {

using Reading = ModelHandle::Reading;
using Writing = ModelHandle::Writing;
using MaybeOptions = std::optional<nb::dict>;

Options with_options(Options options, const MaybeOptions& values, const nb::kwargs& keywords) {
  if (values) set_options(options, *values);
  set_options(options, keywords);
  return options;
}

void make(ModelHandle* self, nb::handle data, const MaybeOptions& values,
          const nb::kwargs& keywords) {
  const Dataset& train = dataset_in(data, "train");
  const Options options = with_options({}, values, keywords);
  const ReleaseGil release;
  new (self) ModelHandle(Model(train, options));
}

// Those of a set, or the set that arrays make.
class Data {
 public:
  explicit Data(nb::handle object) {
    if (nb::isinstance<Dataset>(object)) {
      data_ = &nb::cast<const Dataset&>(object);
    } else {
      data_ = &own_.emplace(dataset_of(object, nb::none()));
    }
  }
  Data(const Data&) = delete;
  Data& operator=(const Data&) = delete;
  const Dataset& operator*() const { return *data_; }
  const Dataset* operator->() const { return data_; }

 private:
  std::optional<Dataset> own_;
  const Dataset* data_ = nullptr;
};

double work_of(const Model& model, const Dataset& data) {
  return static_cast<double>(model.parameters().values().size()) *
         static_cast<double>(data.total_timesteps());
}

nb::object predict_proba(const ModelHandle& handle, nb::handle object, int threads) {
  const Reading model(handle);
  const Data data(object);
  const std::vector<float> outputs =
      interruptible(work_of(*model, *data), [&](const IsInterrupted& is_interrupted) {
        return model->predict_proba(*data, threads, is_interrupted);
      });
  const std::size_t width = model->parameters().network().outputs;
  return float_array(outputs, {outputs.size() / width, width});
}

nb::object predict(const ModelHandle& handle, nb::handle object, int threads) {
  const Reading model(handle);
  const Data data(object);
  const std::vector<int> classes =
      interruptible(work_of(*model, *data), [&](const IsInterrupted& is_interrupted) {
        return model->predict(*data, threads, is_interrupted);
      });
  return int_array(classes, {classes.size()});
}

Evaluation evaluate(const ModelHandle& handle, nb::handle object, int threads) {
  const Dataset& data = dataset_in(object, "data");
  const Reading model(handle);
  return interruptible(work_of(*model, data), [&](const IsInterrupted& is_interrupted) {
    return model->evaluate(data, threads, is_interrupted);
  });
}

FitResult fit_model(ModelHandle& handle, nb::handle train, nb::handle validation,
                    nb::object on_batch, nb::object on_epoch,
                    const std::optional<std::filesystem::path>& checkpoint,
                    std::size_t checkpoint_epochs, double checkpoint_seconds) {
  const Writing model(handle);
  FitCall call{std::move(on_batch), std::move(on_epoch), {}};
  if (checkpoint && checkpoint->empty()) throw InvalidArgument("checkpoint: the path is empty");
  if (checkpoint) call.checkpoints = {*checkpoint, checkpoint_epochs, checkpoint_seconds};
  const Dataset* const held_out =
      validation.is_none() ? nullptr : &dataset_in(validation, "validation");
  return fit(*model, dataset_in(train, "train"), held_out, call);
}

FitResult learn_model(ModelHandle& handle, nb::handle train, nb::object on_batch,
                      nb::object on_epoch) {
  const Writing model(handle);
  return learn(*model, dataset_in(train, "train"), {std::move(on_batch), std::move(on_epoch), {}});
}

void change_options(ModelHandle& handle, const MaybeOptions& values, const nb::kwargs& keywords) {
  const Writing model(handle);
  model->set_options(with_options(model->options(), values, keywords));
}

nb::dict options_of(const ModelHandle& handle) { return options_dict(Reading(handle)->options()); }

std::string hash_text(const ModelHandle& handle) {
  char text[17] = {};
  std::snprintf(text, sizeof text, "%016llx",
                static_cast<unsigned long long>(Reading(handle)->weights_hash()));
  return text;
}

nb::bytes bytes_of(const ModelHandle& handle) {
  const std::string bytes = Reading(handle)->to_bytes();
  return nb::bytes(bytes.data(), bytes.size());
}

Model model_of(const nb::bytes& bytes) {
  return Model::from_bytes({static_cast<const char*>(bytes.data()), bytes.size()});
}

std::string pooling_name(const Network& network) {
  Options options;
  options.pool = network.pool;
  return options.get("pool");
}

nb::dict network_of(const ModelHandle& handle) {
  const Reading model(handle);
  const Network& network = model->parameters().network();
  nb::list layers;
  for (const Layer& layer : network.layers) {
    nb::dict row;
    row["cell"] = layer.cell;
    row["hidden"] = layer.hidden;
    row["bidirectional"] = layer.bidirectional;
    layers.append(row);
  }
  nb::dict result;
  result["features"] = network.features;
  result["layers"] = layers;
  result["head"] = network.head;
  result["pool"] = pooling_name(network);
  result["outputs"] = network.outputs;
  return result;
}

nb::dict normalization_of(const ModelHandle& handle) {
  const Reading model(handle);
  const Normalization& normalization = model->normalization();
  Options options;
  options.normalize = normalization.kind;
  nb::dict result;
  result["kind"] = options.get("normalize");
  const bool has_numbers = normalization.kind == NormalizationKind::channel;
  result["mean"] = has_numbers ? float_array(normalization.mean) : nb::none();
  result["scale"] = has_numbers ? float_array(normalization.scale) : nb::none();
  return result;
}

nb::dict missing_of(const ModelHandle& handle) {
  const Reading model(handle);
  const MissingRule& missing = model->missing();
  Options options;
  options.missing = missing.kind;
  nb::dict result;
  result["kind"] = options.get("missing");
  result["mean"] = float_array(missing.mean);
  result["masked"] = index_array(missing.masked, {missing.masked.size()});
  return result;
}

nb::object target_scale_of(const ModelHandle& handle) {
  const Reading model(handle);
  const TargetScale& scale = model->target_scale();
  if (scale.mean.empty()) return nb::none();
  nb::dict result;
  result["mean"] = float_array(scale.mean);
  result["scale"] = float_array(scale.scale);
  return result;
}

// What is done with the bytes of a model file is written in Python.
nb::object parts_module() { return nb::module_::import_("lockstep._parts"); }

nb::object tensors_of(const ModelHandle& handle) {
  return parts_module().attr("tensors")(bytes_of(handle));
}

// Puts another model in the place of this one, whose options stay.
void replace(Model& model, Model&& other) {
  const Options options = model.options();
  other.set_options(options);
  model = std::move(other);
}

void set_tensors(ModelHandle& handle, const nb::dict& tensors) {
  const Writing model(handle);  // nothing may change it in between
  const nb::object bytes = parts_module().attr("with_tensors")(bytes_of(handle), tensors);
  replace(*model, model_of(nb::cast<nb::bytes>(bytes)));
}

ModelHandle* handle_of(Model&& model, const MaybeOptions& values, const nb::kwargs& keywords) {
  model.set_options(with_options(model.options(), values, keywords));
  return new ModelHandle(std::move(model));
}

ModelHandle* from_bytes(const nb::bytes& bytes, const MaybeOptions& values,
                        const nb::kwargs& keywords) {
  return handle_of(model_of(bytes), values, keywords);
}

// Model::load or Model::resume.
template <Model (*read)(const std::filesystem::path&)>
ModelHandle* read_file(nb::handle file, const MaybeOptions& values, const nb::kwargs& keywords) {
  const std::filesystem::path path = path_in(file);
  const auto without_gil = [&] {
    const ReleaseGil release;
    return read(path);
  };
  return handle_of(without_gil(), values, keywords);
}

void save(const ModelHandle& handle, nb::handle file) {
  const std::filesystem::path path = path_in(file);
  const Reading model(handle);
  const ReleaseGil release;
  model->save(path);
}

ModelHandle* from_parts(const nb::kwargs& parts) {
  const nb::object bytes = parts_module().attr("model_bytes")(**parts);
  return new ModelHandle(model_of(nb::cast<nb::bytes>(bytes)));
}

nb::object interchange() { return nb::module_::import_("lockstep.interchange"); }

void bind_interchange(nb::class_<ModelHandle>& model) {
  using namespace nb::literals;
  model
      .def(
          "to_torch", [](const nb::object& self) { return interchange().attr("to_torch")(self); },
          nb::sig("def to_torch(self) -> dict[str, typing.Any]"),
          "Weights as a state dict of torch, by `lockstep.interchange.to_torch`.")
      .def(
          "to_onnx",
          [](const nb::object& self, const nb::object& path, bool lengths) {
            return interchange().attr("to_onnx")(self, path, "lengths"_a = lengths);
          },
          "path"_a = nb::none(), nb::kw_only(), "lengths"_a = true,
          nb::sig("def to_onnx(self, path: typing.Any = None, *, lengths: bool = True) -> "
                  "typing.Any"),
          "The model as an ONNX graph, which is also written to `path`, by "
          "`lockstep.interchange.to_onnx`.")
      .def_static(
          "from_torch",
          [](const nb::object& source, const nb::kwargs& parts) {
            return interchange().attr("from_torch")(source, **parts);
          },
          "source"_a.none(), "parts"_a,
          nb::sig("def from_torch(source: typing.Any, **parts: typing.Any) -> Model"),
          "A model with the weights of a state dict or module of torch, by "
          "`lockstep.interchange.from_torch`.")
      .def_static(
          "from_keras",
          [](const nb::object& source, const nb::kwargs& parts) {
            return interchange().attr("from_keras")(source, **parts);
          },
          "source"_a.none(), "parts"_a,
          nb::sig("def from_keras(source: typing.Any, **parts: typing.Any) -> Model"),
          "A model with the weights of a model of Keras, by `lockstep.interchange.from_keras`.");
}

nb::tuple get_state(const ModelHandle& handle) {
  return nb::make_tuple(bytes_of(handle), options_of(handle));
}

void set_state(ModelHandle& self, const std::pair<nb::bytes, nb::dict>& state) {
  Model model = model_of(state.first);
  Options options = model.options();
  set_options(options, state.second);
  model.set_options(options);
  new (&self) ModelHandle(std::move(model));
}

std::string text_of(const ModelHandle& handle) {
  const Reading model(handle);
  const Network& network = model->parameters().network();
  std::string layers;
  for (const Layer& layer : network.layers) {
    layers += (layers.empty() ? "" : ", ") + layer.cell + " " + std::to_string(layer.hidden) +
              (layer.bidirectional ? " in both directions" : "");
  }
  return "<lockstep.Model: " + std::to_string(network.features) + " channels, " + layers +
         ", head " + network.head + " of " + std::to_string(network.outputs) + ">";
}

// How it is given in signatures.
#define LOCKSTEP_OPTIONS "options: dict[str, typing.Any] | None = None, **keywords: typing.Any"

void bind_training(nb::class_<ModelHandle>& model) {
  using namespace nb::literals;
  model
      .def("__init__", make, "train"_a.none(), "options"_a = nb::none(), "keywords"_a,
           nb::sig("def __init__(self, train: Dataset, " LOCKSTEP_OPTIONS ") -> None"))
      .def("fit", fit_model, "train"_a.none(), "validation"_a = nb::none(),
           "on_batch"_a = nb::none(), "on_epoch"_a = nb::none(), nb::kw_only(),
           "checkpoint"_a = nb::none(), "checkpoint_epochs"_a = 0, "checkpoint_seconds"_a = 0.0,
           nb::sig("def fit(self, train: Dataset, validation: Dataset | None = None, on_batch: "
                   "collections.abc.Callable[[int, int, int], typing.Any] | None = None, on_epoch: "
                   "collections.abc.Callable[[EpochResult], typing.Any] | None = None, *, "
                   "checkpoint: str | os.PathLike[str] | None = None, checkpoint_epochs: int = 0, "
                   "checkpoint_seconds: float = 0.0) -> FitResult"),
           R"(Trains, and learns on from the weights that there are.

After each epoch the loss of `validation` is measured; without that set, of the share that the
option `validation` holds out. Afterwards the model has the weights of the smallest such loss if
there is `patience`, otherwise the last.

on_batch(epoch, samples_done, samples) is called after every minibatch, on_epoch(EpochResult) after
every epoch, on this thread; False ends the training, and so does what they raise. KeyboardInterrupt
ends it within a minibatch, which is then as if it had not begun, or within a validation, whose loss
is then NaN. The model keeps what it has learnt.

`checkpoint` is a file to which the training is written after every `checkpoint_epochs` epochs and
`checkpoint_seconds` seconds, and at its end, for `Model.resume`.

ValueError for data that the model was not made for; RuntimeError while another call trains it.)")
      .def("evaluate", evaluate, "data"_a.none(), "threads"_a = 0,
           nb::sig("def evaluate(self, data: Dataset, threads: int = 0) -> Evaluation"),
           "Compares predictions with the targets of `data`, in an Evaluation.")
      .def("set_options", change_options, "options"_a = nb::none(), "keywords"_a,
           nb::sig("def set_options(self, " LOCKSTEP_OPTIONS ") -> None"),
           "Changes options for the next `fit`. Options that say how a model is built, such as "
           "`cell` and `hidden`, no longer have an effect.")
      .def_prop_ro("options", options_of, nb::sig("def options(self) -> dict[str, typing.Any]"),
                   "All options, by name.");
}

void bind_prediction(nb::class_<ModelHandle>& model) {
  using namespace nb::literals;
  model
      .def("learn", learn_model, "train"_a.none(), "on_batch"_a = nb::none(),
           "on_epoch"_a = nb::none(),
           nb::sig("def learn(self, train: Dataset, on_batch: "
                   "collections.abc.Callable[[int, int, int], typing.Any] | None = None, on_epoch: "
                   "collections.abc.Callable[[EpochResult], typing.Any] | None = None) -> "
                   "FitResult"),
           R"(One more pass over data that may be others each time, without validation.

Momentum, schedule and the orders of the epochs go on where the last call left them: n calls with
the same data give the bits of a `fit` of n epochs. After `fit`, with other options, on another
backend and in a model that was loaded they begin anew. Callbacks are those of `fit`.)")
      .def("predict_proba", predict_proba, "data"_a.none(), "threads"_a = 0,
           nb::sig("def predict_proba(self, data: Dataset | typing.Any, threads: int = 0) -> "
                   "numpy.ndarray"),
           R"(Probabilities [n, classes], or numbers in the units of the data [n, outputs].

Of a head of timesteps they have a row for each of all timesteps. `data` is a Dataset, whose targets
are ignored, or what one is made of.)")
      .def("predict", predict, "data"_a.none(), "threads"_a = 0,
           nb::sig("def predict(self, data: Dataset | typing.Any, threads: int = 0) -> "
                   "numpy.ndarray"),
           "Index of the most probable class of each sequence [n], or of each of all timesteps, -1 "
           "where the probabilities are NaN.");
}

void bind_files(nb::class_<ModelHandle>& model) {
  using namespace nb::literals;
  constexpr const char* kOptions =
      "Beside it options, as a dictionary or keywords, in the place of those that it has.";
  model
      .def("save", save, "path"_a.none(),
           nb::sig("def save(self, path: str | os.PathLike[str]) -> None"),
           "Writes a safetensors file, which `load`, the command and PyTorch read: the whole or "
           "nothing. "
           "FileError if it cannot be written.")
      .def("to_bytes", bytes_of, "The bytes of the file that `save` writes.")
      .def("__getstate__", get_state,
           nb::sig("def __getstate__(self) -> tuple[bytes, dict[str, typing.Any]]"))
      .def("__setstate__", set_state,
           nb::sig("def __setstate__(self, state: tuple[bytes, dict[str, typing.Any]], /) -> None"))
      .def_static("load", read_file<&Model::load>, "path"_a.none(), "options"_a = nb::none(),
                  "keywords"_a,
                  nb::sig("def load(path: str | os.PathLike[str], " LOCKSTEP_OPTIONS ") -> Model"),
                  (std::string("Reads a file that `save`, `lockstep train` or PyTorch wrote; "
                               "FileError if it cannot. ") +
                   kOptions)
                      .c_str())
      .def_static(
          "resume", read_file<&Model::resume>, "path"_a.none(), "options"_a = nb::none(),
          "keywords"_a,
          nb::sig("def resume(path: str | os.PathLike[str], " LOCKSTEP_OPTIONS ") -> Model"),
          "The model of a training that `fit` wrote as a checkpoint. Its next `fit` continues that "
          "training, to the same bits, with the same data; only the options of which "
          "`options_table()` says `may_change` may be other. FileError if it cannot be read.")
      .def_static("from_bytes", from_bytes, "data"_a, "options"_a = nb::none(), "keywords"_a,
                  nb::sig("def from_bytes(data: bytes, " LOCKSTEP_OPTIONS ") -> Model"),
                  (std::string("The model that `to_bytes` gave. ") + kOptions).c_str());
}

#undef LOCKSTEP_OPTIONS

void bind_parts(nb::class_<ModelHandle>& model) {
  using namespace nb::literals;
  model.def("weights_hash", hash_text, "Equal weights have an equal hash, 16 hexadecimal digits.")
      .def("tensors", tensors_of, nb::sig("def tensors(self) -> dict[str, numpy.ndarray]"),
           "Copies of all weights, with the names and layouts of PyTorch's modules.")
      .def("set_tensors", set_tensors, "tensors"_a,
           nb::sig("def set_tensors(self, tensors: collections.abc.Mapping[str, typing.Any]) -> "
                   "None"),
           "Replaces weights, by the names of `tensors()`. ValueError for an unknown name, another "
           "shape or what is not finite; then nothing is replaced.")
      .def_prop_ro(
          "class_names", [](const ModelHandle& handle) { return Reading(handle)->class_names(); },
          "Texts of the classes or outputs.")
      .def_prop_ro(
          "channel_names",
          [](const ModelHandle& handle) { return Reading(handle)->channel_names(); },
          "What the channels of its data are called; empty if they have no names.")
      .def_prop_ro(
          "network", network_of, nb::sig("def network(self) -> dict[str, typing.Any]"),
          "Its parts, a dictionary of features, layers (cell, hidden, bidirectional), head, pool "
          "and outputs.")
      .def_prop_ro(
          "normalization", normalization_of,
          nb::sig("def normalization(self) -> dict[str, typing.Any]"),
          "How inputs are standardised, a dictionary of `kind`, and if that is 'channel' of "
          "`mean` and `scale` [channels]; then a network reads `(x - mean) * scale`.")
      .def_prop_ro(
          "missing", missing_of, nb::sig("def missing(self) -> dict[str, typing.Any]"),
          "What is done about missing values, a dictionary of `kind` (as the option `missing`), "
          "`mean` [channels] and `masked`, the channels that have one of gaps beside them.")
      .def_prop_ro(
          "target_scale", target_scale_of,
          nb::sig("def target_scale(self) -> dict[str, numpy.ndarray] | None"),
          "How the numbers that it learns are standardised, `(y - mean) / scale`, a dictionary of "
          "`mean` and `scale` [outputs]; or None.")
      .def_static(
          "from_parts", from_parts, "parts"_a,
          nb::sig("def from_parts(*, network: dict[str, typing.Any], tensors: "
                  "collections.abc.Mapping[str, typing.Any], normalization: dict[str, typing.Any] "
                  "| None = None, class_names: list[str] | None = None, target_scale: dict[str, "
                  "typing.Any] | None = None, missing: dict[str, typing.Any] | None = None, "
                  "channel_names: list[str] | None = None, loss: str = 'mse', delta: float = 1.0) "
                  "-> Model"),
          R"(A model of the parts that another has.

Each has the form of the property or method of its name, and what is absent its default. ValueError
for parts that do not fit each other.)");
}

}  // namespace

void bind_model(nb::module_& m) {
  auto model = nb::class_<ModelHandle>(
      m, "Model",
      R"(A network for sequences, with what it knows of its data: classes, channels, scales.

A new one is made for the targets of `train`. The seed draws its first weights. How inputs are
standardised is computed from `train`, but for the share that `fit` will hold out for validation.
`options_table()` lists the options, which are keywords or a dictionary; ValueError says what is
possible where one is wrong.

It takes data as they were measured, in a Dataset or as arrays. Several threads may use a model at
a time; one that is being trained can be used by its callbacks alone, and refuses others with
RuntimeError. Weights and results have the same bits for any number of threads.)");
  model.def("__repr__", text_of);
  bind_training(model);
  bind_prediction(model);
  bind_files(model);
  bind_parts(model);
  bind_interchange(model);
}

}  // namespace lockstep::python
