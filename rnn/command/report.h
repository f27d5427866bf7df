#pragma once

#include <filesystem>

#include "results.h"

namespace lockstep::command {

/// Throws std::runtime_error unless a file can be created or replaced at `path`. Asked before work
/// begins whose result would be lost.
void require_report_writable(const std::filesystem::path& path);

/// Writes one HTML page that needs nothing else: curves of loss and accuracy, the confusion matrix,
/// the settings and a table of all epochs. Atomic, as models are. Throws std::runtime_error.
void write_report(const TrainingRun& run, const std::filesystem::path& path);

}  // namespace lockstep::command
