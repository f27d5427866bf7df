#pragma once

#include <filesystem>

#include "train_summary.h"

namespace lockstep::command {

/// Writes one HTML page that needs nothing else: curves of loss and accuracy, the confusion matrix,
/// the settings and a table of all epochs. Atomic, as models are. Throws std::runtime_error.
void write_report(const TrainingRun& run, const std::filesystem::path& path);

}  // namespace lockstep::command
