#pragma once

#include <filesystem>

#include "files/model_metadata.h"

namespace lockstep {

// These throw ModelFileError as the functions of Model.
[[nodiscard]] ModelParts load_model(const std::filesystem::path& path);
void save_model(const ModelParts& model, const std::filesystem::path& path);
void require_savable(const ModelParts& model, const std::filesystem::path& path);

}  // namespace lockstep
