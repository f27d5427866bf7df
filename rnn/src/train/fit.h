#pragma once

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "data/inputs.h"
#include "lockstep/rnn/trainer.h"

namespace lockstep {

// The weights that a training would end with, and how good they are.
struct KeptWeights {
  std::size_t last_epoch = 0;                             // that was noted
  std::size_t epoch = 0;                                  // that the weights are of
  double loss = std::numeric_limits<double>::infinity();  // of the validation
  std::vector<float> weights;
};

// A training that can go on: with the parameters that it has now, the data and the options.
struct FitState {
  TrainerState trainer;
  KeptWeights kept;
  std::vector<EpochResult> history;
};

// Trains `parameters` as Model::fit on data that are labelled, and normalized on the way.
// `validation` may be empty. Resumes `from`, unless it is null. `save` is called at the times of
// FitObserver::checkpoints, with the parameters of that moment, and may throw; of several ranks by
// rank 0. `ranks` may be null.
FitResult fit(Parameters& parameters, const Inputs& train, const Inputs& validation,
              const Options& options, const FitObserver& observer, const FitState* from = nullptr,
              const std::function<void(const Parameters&, const FitState&)>& save = {},
              Ranks* ranks = nullptr);

// A training pass by pass, each over data of its own, as Model::learn.
class PassByPass {
 public:
  PassByPass(Parameters parameters, Options options, Ranks* ranks);
  PassByPass(const PassByPass&) = delete;
  PassByPass& operator=(const PassByPass&) = delete;

  // Whether another pass may follow, with these and the backend that is active.
  [[nodiscard]] bool goes_on_with(const Options& options, const Ranks* ranks) const;
  // `kept` gets what was learnt, unless it is not finite; so it does if on_batch throws.
  FitResult pass(const Inputs& train, const std::function<bool(const BatchProgress&)>& on_batch,
                 const IsInterrupted& is_interrupted, Parameters& kept);

 private:
  bool keep(Parameters& kept) const;

  Parameters parameters_;
  Options options_;
  Ranks* ranks_;
  std::string backend_;
  Trainer trainer_;
  bool has_failed_ = false;
};

}  // namespace lockstep
