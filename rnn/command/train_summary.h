#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "data_source.h"
#include "lockstep/rnn/model.h"

namespace lockstep::command {

/// What `lockstep train` was asked to do.
struct TrainCommand {
  DataSource source;
  std::string test_file;
  Options options;
  std::string backend;
  std::string model_file;
  std::string report_file;
  bool json = false;
  bool quiet = false;
  bool list_datasets = false;
};

/// A training that has ended: what every form of output is about.
struct TrainingRun {
  TrainCommand command;
  std::string backend;
  Model model;
  FitResult fit{};
  int signal = 0;      ///< that interrupted it, or 0
  Evaluation train{};  ///< by the kept weights, as the other two
  std::optional<Evaluation> validation{};
  std::optional<Evaluation> test{};
};

[[nodiscard]] nlohmann::ordered_json epoch_json(const EpochResult& epoch);
[[nodiscard]] nlohmann::ordered_json summary_json(const TrainingRun& run);

/// The loss over the epochs as a table of a few rows with bars.
[[nodiscard]] std::string curve_text(const std::vector<EpochResult>& history);
[[nodiscard]] std::string summary_text(const TrainingRun& run);

}  // namespace lockstep::command
