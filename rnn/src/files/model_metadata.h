#pragma once

#include <span>
#include <string>

#include "files/model_file.h"

namespace lockstep {

/// What a model file holds beside its tensors: class names and normalization, as JSON text.
/// Model::load shows it. Errors are std::runtime_error whose what() is a reason, to follow the
/// name of the file.

/// Fails unless weights, class names and normalization fit the shape of the model.
void require_whole(const ModelParts& model);

/// The text for a model that is whole.
[[nodiscard]] std::string encode_metadata(const ModelParts& model);

/// What the tensors of a file do not show of its network.
struct NetworkWords {
  std::string cell = "tanh";
  std::string head = "classify";
};

/// Those of a network that this knows; of version 1 the initial values.
[[nodiscard]] NetworkWords network_in_metadata(const std::string& text);

/// Sets class names and normalization of `model`, whose shape is known, from such a text.
void decode_metadata(const std::string& text, ModelParts& model);

/// Fails with the name `what` unless all `values` are finite.
void require_finite(std::span<const float> values, const std::string& what);

}  // namespace lockstep
