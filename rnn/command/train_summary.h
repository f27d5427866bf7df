#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "fit.h"
#include "lockstep/rnn/metrics.h"
#include "lockstep/rnn/model.h"
#include "train_options.h"

namespace lockstep::command {

/// A finished training: what every form of output tells about.
struct TrainingRun {
  TrainCommand command;
  std::string backend;
  RnnClassifier model;
  std::size_t timesteps = 0;  ///< of the training set
  FitResult fit;
  Evaluation train;  ///< by the final weights, as the other two
  std::optional<Evaluation> validation;
  std::optional<Evaluation> test;
};

[[nodiscard]] nlohmann::ordered_json epoch_json(const EpochResult& epoch);
[[nodiscard]] nlohmann::ordered_json summary_json(const TrainingRun& run);

/// The loss over the epochs as a table of a few rows with bars.
[[nodiscard]] std::string curve_text(const std::vector<EpochResult>& history);
[[nodiscard]] std::string summary_text(const TrainingRun& run);

}  // namespace lockstep::command
