// Sequences that arrive timestep by timestep, standardised and scaled as the model does.
#include "lockstep/rnn/stream.h"

#include <nanobind/stl/optional.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "arrays.h"
#include "bindings.h"
#include "gil.h"
#include "lockstep/error.h"
#include "model.h"

namespace lockstep::python {
namespace {

class StreamHandle {
 public:
  StreamHandle(const Model& model, std::size_t sequences, int threads)
      : stream_(model.parameters(), sequences, threads),
        normalization_(model.normalization()),
        targets_(model.target_scale()),
        sequences_(sequences),
        features_(model.parameters().network().features),
        channels_(features_ - model.missing().masked.size()),
        outputs_(model.parameters().network().outputs),
        weights_(static_cast<double>(model.parameters().values().size())) {
    std::vector<float> one(features_);
    normalization_.apply(one);  // refuses what cannot be done timestep by timestep
  }

  // A stream is used by one thread at a time, and gives the interpreter's lock away.
  class Use {
   public:
    explicit Use(StreamHandle& handle) : handle_(handle) {
      if (handle_.is_used_.exchange(true)) {
        throw std::runtime_error("the stream is being used by another thread");
      }
    }
    ~Use() { handle_.is_used_.store(false); }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;
    Stream* operator->() const { return &handle_.stream_; }

   private:
    StreamHandle& handle_;
  };

  nb::object feed(nb::handle x, nb::handle out) {
    const Use stream(*this);
    Buffer buffer;
    take_floats(buffer, x, "x");
    const std::size_t steps = steps_of(buffer, sequences_);
    const std::span<const float> values = prepared(buffer);
    {
      const ReleaseGil release(weights_ * static_cast<double>(steps * sequences_));
      stream->feed(values, steps);
    }
    return read_out(stream->probabilities(), out);
  }

  nb::object feed_one(std::size_t sequence, nb::handle x, nb::handle out) {
    const Use stream(*this);
    Buffer buffer;
    take_floats(buffer, x, "x");
    const std::size_t steps = steps_of(buffer, 1);
    stream->feed_one(sequence, prepared(buffer), steps);
    return read_out(stream->probabilities(sequence), out);
  }

  nb::object outputs(nb::handle out) {
    const Use stream(*this);
    return read_out(stream->probabilities(), out);
  }

  nb::object logits() {
    const Use stream(*this);
    return shaped(stream->logits());
  }

  nb::object state(std::size_t sequence) {
    const Use stream(*this);
    return float_array(stream->state(sequence));
  }

  void set_state(nb::handle state, std::size_t sequence) {
    const Use stream(*this);
    Buffer buffer;
    take_floats(buffer, state, "state");
    stream->set_state(sequence, buffer.values<const float>());
  }

  void reset(std::optional<std::size_t> sequence) {
    const Use stream(*this);
    if (sequence) {
      stream->reset(*sequence);
    } else {
      stream->reset();
    }
  }

  [[nodiscard]] std::size_t sequences() const { return sequences_; }

 private:
  // x is [channels] or [steps][channels] of one sequence, [sequences][channels] or
  // [steps][sequences][channels] of several.
  [[nodiscard]] std::size_t steps_of(const Buffer& x, std::size_t rows) const {
    const std::size_t axes = rows == 1 ? 1 : 2;
    const bool has_steps = x.ndim() == axes + 1;
    const bool fits = (has_steps || x.ndim() == axes) && x.shape(x.ndim() - 1) == channels_ &&
                      (rows == 1 || x.shape(x.ndim() - 2) == rows);
    if (fits) return has_steps ? x.shape(0) : 1;
    const std::string one = std::to_string(channels_);
    const std::string row = rows == 1 ? one : std::to_string(rows) + ", " + one;
    throw InvalidArgument("x: expected shape (" + row + (rows == 1 ? "," : "") +
                          ") or (timesteps, " + row + "), found " + shape_text(x));
  }

  // As the network takes it: standardised, with a channel of zeros for each that marks gaps.
  std::span<const float> prepared(const Buffer& x) {
    const auto values = x.values<const float>();
    prepared_.resize(values.size() / channels_ * features_);
    float* to = prepared_.data();
    for (std::size_t at = 0; at < values.size(); at += channels_, to += features_) {
      std::copy_n(values.data() + at, channels_, to);
      std::fill(to + channels_, to + features_, 0.0f);
    }
    require_finite(values);
    if (!prepared_.empty()) normalization_.apply(prepared_);
    return prepared_;
  }

  void require_finite(std::span<const float> values) const {
    const auto is_bad = [](float value) { return !std::isfinite(value); };
    const auto bad = std::ranges::find_if(values, is_bad);
    if (bad == values.end()) return;
    const auto at = static_cast<std::size_t>(bad - values.begin());
    throw InvalidArgument("x: row " + std::to_string(at / channels_) + ", channel " +
                          std::to_string(at % channels_) + " (counted from 0) is " +
                          (std::isnan(*bad) ? "NaN, and a stream cannot fill gaps" : "infinite"));
  }

  [[nodiscard]] nb::object shaped(std::span<const float> rows) const {
    if (rows.size() == outputs_) return float_array(rows);
    return float_array(rows, {rows.size() / outputs_, outputs_});
  }

  nb::object read_out(std::span<const float> rows, nb::handle out) {
    if (!targets_.mean.empty()) {
      restored_.assign(rows.begin(), rows.end());
      targets_.restore(restored_);
      rows = restored_;
    }
    if (out.is_none()) return shaped(rows);
    Buffer buffer;
    if (!buffer.take(out, Buffer::Access::write) || !buffer.holds_floats() ||
        buffer.values<float>().size() != rows.size()) {
      throw InvalidArgument("out: expected a writable float32 array of " +
                            std::to_string(rows.size()) + " values in C order");
    }
    std::ranges::copy(rows, buffer.data<float>());
    return nb::borrow(out);
  }

  Stream stream_;
  Normalization normalization_;
  TargetScale targets_;
  std::size_t sequences_;
  std::size_t features_;
  std::size_t channels_;
  std::size_t outputs_;
  double weights_;
  std::vector<float> prepared_;
  std::vector<float> restored_;
  std::atomic<bool> is_used_{false};
};

// A model or an estimator that has one.
void make(StreamHandle* self, nb::handle object, std::size_t sequences, int threads) {
  const nb::object model =
      nb::isinstance<ModelHandle>(object)
          ? nb::borrow(object)
          : nb::module_::import_("lockstep._parts").attr("plain_model")(object);
  const ModelHandle::Reading reading(nb::cast<const ModelHandle&>(model));
  new (self) StreamHandle(*reading, sequences, threads);
}

}  // namespace

void bind_stream(nb::module_& m) {
  using namespace nb::literals;
  nb::class_<StreamHandle>(m, "Stream", R"(Predicts sequences while they arrive.

It takes `sequences` of them forward side by side, each with a state of its own. What it gives has
the bits of predict_proba for a sequence of all timesteps fed since the last reset, however they
were cut into calls: inputs are standardised and numbers scaled back as the model does. It keeps the
weights that the model, which may be an estimator, has now.

A bidirectional network, and inputs standardised by 'series', need whole sequences and are refused
with ValueError; so are NaN and infinite values. One thread at a time uses a stream; a second one
gets RuntimeError.)")
      .def("__init__", make, "model"_a.none(), "sequences"_a = 1, "threads"_a = 0,
           nb::sig("def __init__(self, model: Model | typing.Any, sequences: int = 1, threads: int "
                   "= 0) -> None"))
      .def("feed", &StreamHandle::feed, "x"_a, "out"_a = nb::none(),
           nb::sig("def feed(self, x: typing.Any, out: numpy.ndarray | None = None) -> "
                   "numpy.ndarray"),
           "Feeds timesteps and gives the outputs after them: of one sequence [channels] or "
           "[timesteps, channels] gives [outputs]; of several [sequences, channels] or [timesteps, "
           "sequences, channels] gives [sequences, outputs].")
      .def("feed_one", &StreamHandle::feed_one, "sequence"_a, "x"_a, "out"_a = nb::none(),
           nb::sig("def feed_one(self, sequence: int, x: typing.Any, out: numpy.ndarray | None = "
                   "None) -> numpy.ndarray"),
           "Feeds one of several sequences alone, and gives its outputs.")
      .def("outputs", &StreamHandle::outputs, "out"_a = nb::none(),
           nb::sig("def outputs(self, out: numpy.ndarray | None = None) -> numpy.ndarray"),
           "What the sequences give now, in the shape that `feed` has it.")
      .def("logits", &StreamHandle::logits, nb::sig("def logits(self) -> numpy.ndarray"),
           "Outputs of the network now, before softmax or scale.")
      .def("state", &StreamHandle::state, "sequence"_a = 0,
           nb::sig("def state(self, sequence: int = 0) -> numpy.ndarray"),
           "A copy of the state of a sequence, for `set_state`.")
      .def("set_state", &StreamHandle::set_state, "state"_a, "sequence"_a = 0,
           "Puts a state that `state` gave in its place; the next timestep follows on it.")
      .def("reset", &StreamHandle::reset, "sequence"_a = nb::none(),
           "Begins all sequences, or one, anew.")
      .def_prop_ro("sequences", &StreamHandle::sequences, "How many it takes side by side.");
}

}  // namespace lockstep::python
