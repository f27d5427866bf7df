#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "lockstep/rnn/normalization.h"
#include "lockstep/rnn/parameters.h"

namespace lockstep {

// What the file of a model holds. Model::load and Model::save describe it.
struct ModelParts {
  Parameters parameters;
  Normalization normalization;
  std::vector<std::string> class_names;
};

// Errors are std::runtime_error whose what() is a reason, to follow the name of the file.

[[nodiscard]] ModelParts load_model(const std::filesystem::path& path);
void save_model(const ModelParts& model, const std::filesystem::path& path);
// Fails if save_model would, as far as that can be known.
void require_savable(const ModelParts& model, const std::filesystem::path& path);

// Fails unless weights, class names and normalization fit together.
void require_whole(const ModelParts& model);

}  // namespace lockstep
