// How a training and an evaluation went.
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cmath>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "arrays.h"
#include "bindings.h"
#include "lockstep/rnn/metrics.h"
#include "lockstep/rnn/trainer.h"

namespace lockstep::python {
namespace {

const char* name_of(FitStatus status) {
  switch (status) {
    case FitStatus::finished:
      return "finished";
    case FitStatus::patience:
      return "patience";
    case FitStatus::stopped:
      return "stopped";
    default:
      return "diverged";
  }
}

template <class Value>
nb::object kept_of(const Value& value) {
  return nb::cast(value);
}
nb::object kept_of(FitStatus status) { return nb::cast(static_cast<int>(status)); }
nb::object kept_of(const std::vector<ConfusionCount>& rows) {
  nb::list list;
  for (const ConfusionCount& c : rows) list.append(nb::make_tuple(c.actual, c.predicted, c.count));
  return list;
}

template <class Value>
void restore(Value& value, nb::handle kept) {
  value = nb::cast<Value>(kept);
}
void restore(FitStatus& status, nb::handle kept) {
  status = static_cast<FitStatus>(nb::cast<int>(kept));
}
void restore(std::vector<ConfusionCount>& rows, nb::handle kept) {
  for (const nb::handle row : nb::borrow<nb::list>(kept)) {
    rows.push_back({nb::cast<std::size_t>(row[0]), nb::cast<std::size_t>(row[1]),
                    nb::cast<std::size_t>(row[2])});
  }
}

// Pickles: `members` are all of a result, in the order of its class.
template <auto... members, class Result>
void bind_pickle(nb::class_<Result>& result) {
  result
      .def(
          "__getstate__",
          [](const Result& self) { return nb::make_tuple(kept_of(self.*members)...); },
          nb::sig("def __getstate__(self) -> tuple[typing.Any, ...]"))
      .def(
          "__setstate__",
          [](Result& self, const nb::tuple& state) {
            Result made;
            if (state.size() != sizeof...(members)) {
              throw nb::value_error("the pickle is of another version of lockstep");
            }
            std::size_t i = 0;
            (restore(made.*members, state[i++]), ...);
            new (&self) Result(std::move(made));
          },
          nb::sig("def __setstate__(self, state: tuple[typing.Any, ...], /) -> None"));
}

std::string number(double value) { return nb::cast<std::string>(nb::str("{:.6g}").format(value)); }

// Empty for what a result has not.
std::string named(const char* name, double value) {
  return std::isnan(value) ? "" : std::string(", ") + name + " " + number(value);
}

std::string text_of(const EpochResult& e) {
  return "<EpochResult " + std::to_string(e.epoch) + ": loss " + number(e.loss) +
         named("accuracy", e.accuracy) + named("validation_loss", e.validation_loss) + ">";
}

std::string text_of_fit(const FitResult& fit) {
  return std::string("<FitResult ") + name_of(fit.status) + ": " +
         std::to_string(fit.history.size()) + " epochs in " + number(fit.seconds()) +
         " s, kept epoch " + std::to_string(fit.kept_epoch) + ">";
}

std::string text_of_evaluation(const Evaluation& e) {
  return "<Evaluation of " + std::to_string(e.samples) + ": loss " + number(e.loss) +
         named("accuracy", e.accuracy) + named("rmse", e.rmse) + ">";
}

nb::object confusion(const Evaluation& evaluation) {
  std::vector<std::size_t> rows;
  for (const ConfusionCount& c : evaluation.confusion) {
    rows.insert(rows.end(), {c.actual, c.predicted, c.count});
  }
  return index_array(rows, {evaluation.confusion.size(), 3});
}

template <std::vector<double> Evaluation::* member>
nb::object doubles(const Evaluation& evaluation) {
  return double_array(evaluation.*member);
}

nb::object support(const Evaluation& evaluation) {
  return index_array(evaluation.support, {evaluation.support.size()});
}

void bind_fit_results(nb::module_& m) {
  auto epoch =
      nb::class_<EpochResult>(m, "EpochResult", "What one pass over the training data gave.");
  epoch.def_ro("epoch", &EpochResult::epoch, "Which pass it was, from 1.")
      .def_ro("loss", &EpochResult::loss, "Mean loss, each minibatch before its update.")
      .def_ro("accuracy", &EpochResult::accuracy,
              "Share classified right; NaN where numbers are learnt.")
      .def_ro("learning_rate", &EpochResult::learning_rate, "That of its first update.")
      .def_ro("seconds", &EpochResult::seconds, "How long it took.")
      .def_ro("timesteps", &EpochResult::timesteps, "Timesteps of the sequences trained on.")
      .def_ro("validation_loss", &EpochResult::validation_loss,
              "Mean loss of the validation data; NaN if there are none, or if Ctrl-C came while it "
              "was measured.")
      .def_ro(
          "validation_accuracy", &EpochResult::validation_accuracy,
          "Share of the validation data classified right; NaN as `validation_loss` is, and where "
          "numbers are learnt.")
      .def_ro("skipped", &EpochResult::skipped, "Minibatches left out, by on_nan='skip'.")
      .def_ro("failed_minibatch", &EpochResult::failed_minibatch,
              "The minibatch, from 1, that ended the pass by on_nan='stop'; 0 if none did.")
      .def("__repr__", text_of);
  bind_pickle<&EpochResult::epoch, &EpochResult::loss, &EpochResult::accuracy,
              &EpochResult::learning_rate, &EpochResult::seconds, &EpochResult::timesteps,
              &EpochResult::validation_loss, &EpochResult::validation_accuracy,
              &EpochResult::skipped, &EpochResult::failed_minibatch>(epoch);
  auto fit = nb::class_<FitResult>(m, "FitResult", "How a training went.");
  fit.def_prop_ro(
         "status", [](const FitResult& fit) { return name_of(fit.status); },
         "'finished', 'patience', 'stopped' (by a callback) or 'diverged'.")
      .def_ro("history", &FitResult::history, "An EpochResult for each epoch.")
      .def_ro("kept_epoch", &FitResult::kept_epoch,
              "The epoch whose weights were kept; 0 if they are those from before.")
      .def_ro("threads", &FitResult::threads, "How many threads it could use.")
      .def_prop_ro("seconds", &FitResult::seconds, "How long all epochs took.")
      .def_prop_ro("skipped", &FitResult::skipped, "Minibatches of all epochs left out.")
      .def_prop_ro("timesteps_per_second", &FitResult::timesteps_per_second,
                   "Mean over all epochs.")
      .def("__repr__", text_of_fit);
  bind_pickle<&FitResult::status, &FitResult::history, &FitResult::kept_epoch, &FitResult::threads>(
      fit);
}

}  // namespace

void bind_results(nb::module_& m) {
  bind_fit_results(m);
  auto evaluation = nb::class_<Evaluation>(
      m, "Evaluation",
      "How well predictions match targets. Measures that do not apply to the head of "
      "the model are NaN, or empty arrays.");
  evaluation.def_ro("accuracy", &Evaluation::accuracy, "Share predicted right.")
      .def_ro("loss", &Evaluation::loss, "Mean over all samples.")
      .def_ro("samples", &Evaluation::samples, "How many targets are known.")
      .def_ro("balanced_accuracy", &Evaluation::balanced_accuracy, "Mean recall.")
      .def_ro("macro_f1", &Evaluation::macro_f1, "Mean of f1.")
      .def_ro("rmse", &Evaluation::rmse, "Root mean square error, of numbers.")
      .def_ro("mae", &Evaluation::mae, "Mean absolute error, of numbers.")
      .def_ro("r2", &Evaluation::r2, "Coefficient of determination, of numbers.")
      .def_prop_ro(
          "confusion", confusion, nb::sig("def confusion(self) -> numpy.ndarray"),
          "Rows (actual class, predicted class, samples), [rows, 3], without those of 0 samples.")
      .def_prop_ro("precision", doubles<&Evaluation::precision>,
                   nb::sig("def precision(self) -> numpy.ndarray"),
                   "Share of the predictions of each class that are right, [classes].")
      .def_prop_ro("recall", doubles<&Evaluation::recall>,
                   nb::sig("def recall(self) -> numpy.ndarray"),
                   "Share of the samples of each class that are predicted right, [classes].")
      .def_prop_ro("f1", doubles<&Evaluation::f1>, nb::sig("def f1(self) -> numpy.ndarray"),
                   "Harmonic mean of precision and recall, [classes].")
      .def_prop_ro("support", support, nb::sig("def support(self) -> numpy.ndarray"),
                   "Samples of each class, [classes].")
      .def("__repr__", text_of_evaluation);
  bind_pickle<&Evaluation::accuracy, &Evaluation::loss, &Evaluation::samples,
              &Evaluation::balanced_accuracy, &Evaluation::macro_f1, &Evaluation::rmse,
              &Evaluation::mae, &Evaluation::r2, &Evaluation::confusion, &Evaluation::precision,
              &Evaluation::recall, &Evaluation::f1, &Evaluation::support>(evaluation);
}

}  // namespace lockstep::python
