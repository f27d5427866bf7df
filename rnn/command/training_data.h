#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "commands.h"
#include "lockstep/rnn/dataset.h"
#include "lockstep/rnn/model.h"

namespace lockstep::command {

/// What is trained and measured on, as measured.
struct TrainingData {
  Dataset train;
  std::optional<Dataset> validation{};
  std::optional<Dataset> test{};
  std::vector<std::string> notes{};
  std::vector<std::filesystem::path> files{};  ///< that were read
};

/// The data of a command with its test part, if it has one. Throws DataError.
[[nodiscard]] TrainingData load_train_and_test(const TrainingCommand& command);
/// How messages name the test part.
[[nodiscard]] std::string test_name(const TrainingCommand& command);

/// A model for `train`, of which the share Options::validation is held out already.
[[nodiscard]] Model new_model(const Dataset& train, const Options& options);

/// Of these options the first that has no effect with the head; "" if all have.
[[nodiscard]] std::string useless_option(const std::vector<std::string>& names,
                                         const std::string& head);
/// Throws UsageError for options of the loss that were given and have no effect with the head.
void require_sense_for(const TrainingCommand& command, const std::string& head);

/// Whether two paths lead to one file. An empty path names no file.
[[nodiscard]] bool is_same_file(const std::filesystem::path& a, const std::filesystem::path& b);

}  // namespace lockstep::command
