#pragma once

#include <filesystem>
#include <span>
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

// What a model file holds beside its tensors, as JSON text, which Model::load shows. The initial
// values are those of a file that does not say.
struct ModelMetadata {
  std::string cell = "tanh";
  std::string head = "classify";
  std::vector<std::string> class_names;
  Normalization normalization;
};

// Errors are std::runtime_error whose what() is a reason, to follow the name of the file.

[[nodiscard]] ModelParts load_model(const std::filesystem::path& path);
void save_model(const ModelParts& model, const std::filesystem::path& path);
// Fails if save_model would, as far as that can be known.
void require_savable(const ModelParts& model, const std::filesystem::path& path);

// Fails unless weights, class names and normalization fit together.
void require_whole(const ModelParts& model);
// Fails with the name `what` unless all `values` are finite.
void require_finite(std::span<const float> values, const std::string& what);

// The text for a model that is whole.
[[nodiscard]] std::string encode_metadata(const ModelParts& model);
// Cell and head are ones that this knows; whether the rest fits the tensors is not checked.
[[nodiscard]] ModelMetadata decode_metadata(const std::string& text);

}  // namespace lockstep
