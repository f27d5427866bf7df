#pragma once

#include <filesystem>

#include "train_summary.h"

namespace lockstep::command {

/// Writes one HTML page that needs nothing else: the curves of loss and accuracy and the confusion
/// matrix as pictures, the same as tables, and the settings. Atomic, as models are. Throws
/// std::runtime_error.
void write_report(const TrainingRun& run, const std::filesystem::path& path);

}  // namespace lockstep::command
