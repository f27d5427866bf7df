#include "training.h"

#include <limits>

#include "interruption.h"

namespace lockstep::python {
namespace {

// Whether the training goes on: None says so, as True does.
bool goes_on(const nb::object& answer) {
  if (answer.is_none()) return true;
  const int truth = PyObject_IsTrue(answer.ptr());
  if (truth < 0) nb::raise_python_error();
  return truth != 0;
}

// What a callback returns.
template <class... Values>
nb::object answer_of(const nb::object& callback, const Values&... values) {
  const nb::tuple arguments = nb::make_tuple(values...);
  PyObject* const answer =
      unless_ending([&] { return PyObject_CallObject(callback.ptr(), arguments.ptr()); });
  if (answer == nullptr) nb::raise_python_error();
  return nb::steal(answer);
}

class Watch {
 public:
  explicit Watch(const FitCall& call) : call_(call) {}

  // Trains by `work`, which gets an observer, without the lock.
  template <class Work>
  FitResult watched(const Work& work) {
    return interruption_.watched(kLong, [&] { return work(observer()); });
  }

 private:
  static constexpr double kLong = std::numeric_limits<double>::infinity();

  [[nodiscard]] FitObserver observer() {
    FitObserver observer;
    observer.is_interrupted = interruption_.question();
    observer.on_batch = [this](const BatchProgress& progress) { return after_batch(progress); };
    if (!call_.on_epoch.is_none()) {
      observer.on_epoch = [this](const EpochResult& epoch) { return after_epoch(epoch); };
    }
    if (!call_.checkpoints.path.empty()) observer.checkpoints = call_.checkpoints;
    return observer;
  }

  bool after_batch(const BatchProgress& progress) {
    if (call_.on_batch.is_none()) return !interruption_.is_there();
    return interruption_.call([&] {
      return goes_on(
          answer_of(call_.on_batch, progress.epoch, progress.samples_done, progress.samples));
    });
  }

  // A signal that has come must not end the callback before it has noted the epoch.
  bool after_epoch(const EpochResult& epoch) {
    interruption_.look_at_signals();
    const bool goes_on_then =
        interruption_.call([&] { return goes_on(answer_of(call_.on_epoch, epoch)); });
    return goes_on_then && !interruption_.is_there();
  }

  const FitCall& call_;
  Interruption interruption_;
};

}  // namespace

FitResult fit(Model& model, const Dataset& train, const Dataset* validation, const FitCall& call) {
  return Watch(call).watched([&](const FitObserver& observer) {
    return validation == nullptr ? model.fit(train, observer)
                                 : model.fit(train, *validation, observer);
  });
}

FitResult learn(Model& model, const Dataset& train, const FitCall& call) {
  return Watch(call).watched([&](const FitObserver& observer) {
    FitResult pass = model.learn(train, observer.on_batch, observer.is_interrupted);
    if (observer.on_epoch && !pass.history.empty()) observer.on_epoch(pass.history.back());
    return pass;
  });
}

}  // namespace lockstep::python
