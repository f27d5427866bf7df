#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "files/safetensors.h"
#include "lockstep/rnn/missing.h"
#include "lockstep/rnn/normalization.h"
#include "lockstep/rnn/options.h"
#include "lockstep/rnn/parameters.h"

namespace lockstep {

// What the file of a model holds. Model::load and Model::save describe it.
struct ModelParts {
  Parameters parameters;
  Normalization normalization;
  std::vector<std::string> class_names;  // or names of outputs
  TargetScale targets{};
  RegressionLoss loss = RegressionLoss::mse;  // of numbers, as the next
  double delta = 1;
  std::vector<std::string> channel_names{};  // of the data, or none
  MissingRule missing{};
};

// Errors are std::runtime_error whose what() is a reason, to follow the name of the file.

// What the files of models and trainings share: the model in an open file, which may have tensors
// of other names too; its tensors, and what is beside them.
[[nodiscard]] ModelParts read_model(safetensors::Reader& file,
                                    const std::vector<std::string>& other_tensors = {});
[[nodiscard]] std::vector<safetensors::Tensor> encode_model(const ModelParts& model);
[[nodiscard]] safetensors::Metadata metadata_of(const ModelParts& model);

[[nodiscard]] ModelParts load_model(const std::filesystem::path& path);
void save_model(const ModelParts& model, const std::filesystem::path& path);
// The same of the bytes of such a file.
[[nodiscard]] ModelParts decode_model(std::string_view bytes);
[[nodiscard]] std::string model_bytes(const ModelParts& model);
// Fails if save_model would, as far as that can be known.
void require_savable(const ModelParts& model, const std::filesystem::path& path);
// Fails if the header of a file would be too long with tensors of these names too, whatever their
// sizes.
void require_writable_header(const ModelParts& model,
                             const std::vector<std::string>& other_tensors = {});

// Fails unless weights, class names and normalization fit together.
void require_whole(const ModelParts& model);

}  // namespace lockstep
