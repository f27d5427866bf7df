// Trainings that Python watches.
#pragma once

#include <nanobind/nanobind.h>

#include <filesystem>

#include "lockstep/rnn/trainer.h"
#include "model.h"

namespace lockstep::python {

namespace nb = nanobind;

// What a call of `fit` says beside the data. Callbacks may be None.
struct FitCall {
  nb::object on_batch;  // (epoch, samples done, samples)
  nb::object on_epoch;  // (EpochResult)
  Checkpoints checkpoints;
};

// Trains without the interpreter's lock. Signals are looked at on the way; they, and what callbacks
// raise, end the training as if a callback had said so, and are thrown afterwards: the model keeps
// what was learnt.
[[nodiscard]] FitResult fit(Model& model, const Dataset& train, const Dataset* validation,
                            const FitCall& call);
// The same of one pass, without checkpoints.
[[nodiscard]] FitResult learn(Model& model, const Dataset& train, const FitCall& call);

}  // namespace lockstep::python
