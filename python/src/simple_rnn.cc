// One layer of tanh with weights as NumPy programs hold them: for lockstep.numpy_rnn.
#include <nanobind/stl/string.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "arrays.h"
#include "bindings.h"
#include "gil.h"
#include "interruption.h"
#include "lockstep/error.h"
#include "lockstep/rnn/parameters.h"
#include "lockstep/rnn/predict.h"
#include "lockstep/rnn/trainer.h"
#include "sequences.h"

namespace lockstep::python {
namespace {

// The weights by the names of such programs, in the order of the constructor.
struct Names {
  const char* own;
  const char* tensor;
};
constexpr Names kWeights[] = {{"Wx", "rnn.weight_ih_l0"},
                              {"Wh", "rnn.weight_hh_l0"},
                              {"B", "rnn.bias_ih_l0"},
                              {"Wy", "head.weight"},
                              {"By", "head.bias"}};

// Sizes as Wx [D][H] and Wy [H][C] have them.
Network network_of(const Buffer& wx, const Buffer& wy) {
  if (wx.ndim() != 2 || wy.ndim() != 2) {
    throw InvalidArgument("Wx, Wy: expected matrices, found shapes " + shape_text(wx) + " and " +
                          shape_text(wy));
  }
  return {.features = wx.shape(0),
          .layers = {{.cell = "tanh", .hidden = wx.shape(1)}},
          .head = "classify",
          .pool = Pooling::last,
          .outputs = wy.shape(1)};
}

void require_shape(const char* name, const Buffer& found, const Tensor& tensor) {
  const bool is_matrix = tensor.role != TensorRole::bias;
  const bool fits = is_matrix ? found.ndim() == 2 && found.shape(0) == tensor.rows &&
                                    found.shape(1) == tensor.cols
                              : found.values<float>().size() == tensor.size();
  if (fits) return;
  const std::string cols = std::to_string(tensor.cols);
  throw InvalidArgument(std::string(name) + ": expected shape (" +
                        (is_matrix ? std::to_string(tensor.rows) + ", " + cols : cols + ",") +
                        "), found " + shape_text(found));
}

Options options_of(std::size_t batch_size, double learning_rate) {
  Options options;
  options.cell = "tanh";
  options.batch_size = batch_size;
  options.learning_rate = learning_rate;
  options.schedule = LearningRateSchedule::constant;
  options.optimizer = "sgd";
  options.momentum = 0;
  options.clip_norm = 0;
  options.shuffle = false;
  validate(options);
  return options;
}

class SimpleRnn {
 public:
  SimpleRnn(nb::handle wx, nb::handle wh, nb::handle b, nb::handle wy, nb::handle by) {
    Buffer buffers[5];
    const nb::handle given[] = {wx, wh, b, wy, by};
    for (std::size_t i = 0; i < 5; ++i) take_floats(buffers[i], given[i], kWeights[i].own);
    parameters_ = Parameters(network_of(buffers[0], buffers[3]));
    for (std::size_t i = 0; i < 5; ++i) {
      const auto [own, name] = kWeights[i];
      const auto tensor = std::ranges::find(parameters_.tensors(), name, &Tensor::name);
      require_shape(own, buffers[i], *tensor);
      std::ranges::copy(buffers[i].values<const float>(), parameters_[name].begin());
    }
  }

  void begin(std::size_t batch_size, double learning_rate) {
    const Use use(*this);
    trainer_.emplace(parameters_, options_of(batch_size, learning_rate));
  }

  EpochResult run_epoch(const Dataset& data, nb::handle order) {
    const Use use(*this);
    if (!trainer_) throw InvalidArgument("run_epoch: expected `begin` before");
    const Dataset ordered = data.subset(indices_of(data, order));
    Interruption interruption;
    return interruption.watched(work_of(ordered), [&] {
      return trainer_->run_epoch(
          ordered, [&](const BatchProgress&) { return !interruption.is_there(); },
          interruption.question());
    });
  }

  nb::object predict_proba(nb::handle x) {
    const Use use(*this);
    const Dataset data = dataset_of(x, nb::none());
    std::vector<float> outputs;
    {
      const ReleaseGil release(work_of(data));
      outputs = lockstep::predict_proba(parameters_, data);
    }
    return float_array(outputs, {data.size(), parameters_.network().outputs});
  }

  nb::list weights() {
    const Use use(*this);
    nb::list result;
    for (const auto [own, name] : kWeights) {
      const auto tensor = std::ranges::find(parameters_.tensors(), name, &Tensor::name);
      const auto values = std::as_const(parameters_)[name];
      result.append(tensor->role == TensorRole::bias
                        ? float_array(values)
                        : float_array(values, {tensor->rows, tensor->cols}));
    }
    return result;
  }

 private:
  // One call at a time, as the interpreter's lock is given away.
  class Use {
   public:
    explicit Use(SimpleRnn& rnn) : rnn_(rnn) {
      if (rnn_.is_used_.exchange(true)) {
        throw std::runtime_error("the network is being used by another thread");
      }
    }
    ~Use() { rnn_.is_used_.store(false); }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

   private:
    SimpleRnn& rnn_;
  };

  [[nodiscard]] double work_of(const Dataset& data) const {
    return static_cast<double>(parameters_.values().size()) *
           static_cast<double>(data.total_timesteps());
  }

  static std::vector<std::size_t> indices_of(const Dataset& data, nb::handle order) {
    Buffer buffer;
    take_indices(buffer, order, "order");
    std::vector<std::size_t> indices;
    for (const std::int64_t i : buffer.values<const std::int64_t>()) {
      if (i < 0 || static_cast<std::size_t>(i) >= data.size()) {
        throw InvalidArgument("order: " + std::to_string(i) + ", expected 0 to " +
                              std::to_string(data.size()) + " - 1");
      }
      indices.push_back(static_cast<std::size_t>(i));
    }
    return indices;
  }

  Parameters parameters_;
  std::optional<Trainer> trainer_;
  std::atomic<bool> is_used_{false};
};

}  // namespace

void bind_simple_rnn(nb::module_& m) {
  using namespace nb::literals;
  nb::class_<SimpleRnn>(m, "SimpleRnn", R"(A tanh layer and softmax, for lockstep.numpy_rnn.

SimpleRnn(Wx, Wh, B, Wy, By) copies the weights: h = tanh(x Wx + h' Wh + B), softmax(h Wy + By).)")
      .def(nb::init<nb::handle, nb::handle, nb::handle, nb::handle, nb::handle>(), "Wx"_a, "Wh"_a,
           "B"_a, "Wy"_a, "By"_a)
      .def("begin", &SimpleRnn::begin, "batch_size"_a, "learning_rate"_a,
           "Begins a training by plain gradient descent.")
      .def("run_epoch", &SimpleRnn::run_epoch, "data"_a, "order"_a,
           "One pass over the sequences with these indices, minibatch after minibatch in this "
           "order.")
      .def("predict_proba", &SimpleRnn::predict_proba, "x"_a,
           nb::sig("def predict_proba(self, x: typing.Any) -> numpy.ndarray"),
           "Probabilities [n, classes].")
      .def("weights", &SimpleRnn::weights, nb::sig("def weights(self) -> list[numpy.ndarray]"),
           "Copies of Wx, Wh, B, Wy and By.");
}

}  // namespace lockstep::python
