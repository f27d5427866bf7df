#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "files/model_file.h"
#include "files/strict_json.h"
#include "lookup.h"

namespace lockstep {
namespace {

using nlohmann::json;

constexpr const char* kIncomplete =
    "its metadata lacks version, cell, head, class_names or normalization, or one is of a wrong "
    "type";

// Version 1 has no cell, which is tanh.
constexpr int kVersion = 2;

// The first name of a kind is written; the last two are read from files of version 0.1.
constexpr std::array<std::pair<NormalizationKind, const char*>, 5> kNormalizationNames = {{
    {NormalizationKind::none, "none"},
    {NormalizationKind::channel, "channel"},
    {NormalizationKind::series, "series"},
    {NormalizationKind::channel, "per_channel"},
    {NormalizationKind::series, "per_series"},
}};

Normalization parse_normalization(const json& text) {
  const auto* kind = std::ranges::find(kNormalizationNames, text.at("kind").get<std::string>(),
                                       &std::pair<NormalizationKind, const char*>::second);
  if (kind == kNormalizationNames.end())
    throw std::runtime_error("its kind of normalization is unknown");
  Normalization normalization{.kind = kind->first, .mean = {}, .scale = {}};
  if (normalization.kind == NormalizationKind::channel) {
    normalization.mean = text.at("mean").get<std::vector<float>>();
    normalization.scale = text.at("scale").get<std::vector<float>>();
  }
  return normalization;
}

}  // namespace

void require_whole(const ModelParts& model) {
  if (model.parameters.empty()) throw std::runtime_error("it is empty");
  const Network& network = model.parameters.network();
  if (model.class_names.size() != network.outputs) {
    throw std::runtime_error("it has " + std::to_string(model.class_names.size()) +
                             " class names for " + std::to_string(network.outputs) + " classes");
  }
  const std::optional<std::string> twice = repeated(model.class_names);
  if (twice) throw std::runtime_error("it has two classes " + quote(*twice));
  const auto& [kind, mean, scale] = model.normalization;
  const std::size_t expected = kind == NormalizationKind::channel ? network.features : 0;
  if (mean.size() != expected || scale.size() != expected) {
    throw std::runtime_error("its normalization does not have one mean and one scale for each of " +
                             std::to_string(expected) + " channels");
  }
  require_finite(mean, "the mean of its normalization");
  require_finite(scale, "the scale of its normalization");
}

void require_finite(std::span<const float> values, const std::string& what) {
  if (!std::ranges::all_of(values, [](float value) { return std::isfinite(value); })) {
    throw std::runtime_error(what + " holds NaN or infinity");
  }
}

std::string encode_metadata(const ModelParts& model) {
  require_whole(model);
  const auto* kind = std::ranges::find(kNormalizationNames, model.normalization.kind,
                                       &std::pair<NormalizationKind, const char*>::first);
  json normalization = {{"kind", kind->second}};
  if (model.normalization.kind == NormalizationKind::channel) {
    normalization["mean"] = model.normalization.mean;
    normalization["scale"] = model.normalization.scale;
  }
  const json metadata = {{"version", kVersion},
                         {"cell", model.parameters.network().layers[0].cell},
                         {"head", model.parameters.network().head},
                         {"class_names", model.class_names},
                         {"normalization", normalization}};
  try {
    return metadata.dump();
  } catch (const json::exception&) {
    throw std::runtime_error("a class name is not valid UTF-8");
  }
}

ModelMetadata decode_metadata(const std::string& text) {
  const json metadata = parse_strict_json(text);
  if (!metadata.is_object() || !metadata.contains("version")) throw std::runtime_error(kIncomplete);
  const json& version = metadata["version"];
  if (version != 1 && version != kVersion) {
    throw std::runtime_error("its version is " + quote(version.dump()) + ", expected up to " +
                             std::to_string(kVersion));
  }
  ModelMetadata result;
  const auto read_word = [&](const char* key, const std::vector<std::string>& known,
                             std::string& word) {
    word = metadata.at(key).get<std::string>();
    if (std::ranges::find(known, word) != known.end()) return;
    throw std::runtime_error("its " + std::string(key) + " " + quote(word) + " is unknown");
  };
  try {
    if (version == kVersion) {
      read_word("cell", cell_names(), result.cell);
      read_word("head", head_names(), result.head);
    }
    result.class_names = metadata.at("class_names").get<std::vector<std::string>>();
    result.normalization = parse_normalization(metadata.at("normalization"));
  } catch (const json::exception&) {
    throw std::runtime_error(kIncomplete);
  }
  return result;
}

}  // namespace lockstep
