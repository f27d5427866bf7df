#pragma once

#include "lockstep/rnn/trainer.h"

namespace lockstep {

// Trains `parameters` as Model::fit on data that are normalized and labelled. `validation` may be
// empty.
FitResult fit(Parameters& parameters, const Dataset& train, const Dataset& validation,
              const Options& options, const FitObserver& observer);

}  // namespace lockstep
