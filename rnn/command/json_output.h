#pragma once

#include <string>
#include <vector>

#include "results.h"

namespace lockstep::command {

/// Each is a JSON object on a line of its own, with null for NaN and with U+FFFD in place of what
/// is not UTF-8 (class names come from files).
///@{
[[nodiscard]] std::string epoch_json(const EpochResult& epoch);
[[nodiscard]] std::string summary_json(const TrainingRun& run);
[[nodiscard]] std::string evaluation_json(const Evaluation& evaluation,
                                          const std::vector<std::string>& class_names);
[[nodiscard]] std::string system_json(const Processor& processor);
[[nodiscard]] std::string model_json(const Model& model);
[[nodiscard]] std::string gradcheck_json(const std::vector<GradientError>& errors);
///@}

/// Text as a JSON string, in quotes.
[[nodiscard]] std::string json_string(const std::string& text);

}  // namespace lockstep::command
