#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "lockstep/rnn/model.h"

namespace lockstep {

// What the file of a model holds. Model::load and Model::save describe it.
struct ModelParts {
  Parameters parameters;
  Normalization normalization;
  std::vector<std::string> class_names;
};

// These throw ModelFileError as the functions of Model.
[[nodiscard]] ModelParts load_model(const std::filesystem::path& path);
void save_model(const ModelParts& model, const std::filesystem::path& path);
void require_savable(const ModelParts& model, const std::filesystem::path& path);

}  // namespace lockstep
