// The file of a training that can go on: a model file of the weights that are being trained, with
// further tensors, of which checkpoint.state is JSON text. Model::resume describes it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "data/inputs.h"
#include "files/model_file.h"
#include "lockstep/rnn/options.h"
#include "train/fit.h"

namespace lockstep {

struct TrainingParts {
  ModelParts model;  // with the weights that are being trained
  Options options;
  FitState state;
  std::uint64_t data_hash = 0;  // see data_hash
  std::string rounding;         // see rounding_here
};

// Errors are std::runtime_error whose what() is a reason, to follow the name of the file.

[[nodiscard]] TrainingParts load_checkpoint(const std::filesystem::path& path);
// Fails if no checkpoint of such a model could be written, whatever the path.
void require_writable_checkpoint(const ModelParts& model);
// The file that was at `path` becomes `path`.previous; there is one at `path` all the time.
void save_checkpoint(const TrainingParts& training, const std::filesystem::path& path);

// Backends of equal bits have equal texts: those with fused multiply-add, every other by itself.
[[nodiscard]] std::string rounding_here();

// Of shapes, values and targets of both sets.
[[nodiscard]] std::uint64_t data_hash(const Inputs& train, const Inputs& validation);

// Throws std::invalid_argument with the first option, but for `epochs` and `threads`, that is not
// as it was, and where the data or the rounding of the backend have changed.
void require_same_training(const TrainingParts& training, const Options& options,
                           std::uint64_t data_hash);

}  // namespace lockstep
