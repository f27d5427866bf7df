// Model files: what is read must be the same when it is written and read again.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "binary.h"
#include "data/text_file.h"
#include "files/model_file.h"
#include "fuzz/input.h"
#include "fuzz/seeds.h"
#include "lockstep/rnn/model.h"

namespace lockstep::fuzz {
namespace {

// A file of a header: its length in front, and zeros for the tensors that it has.
std::string file_of_header(std::string_view header) {
  constexpr std::uint64_t kMostZeros = 32 << 10;
  std::uint64_t end = 0;
  const auto json = nlohmann::json::parse(header, nullptr, /*allow_exceptions=*/false);
  for (const auto& entry : json.is_object() ? json : nlohmann::json::object()) {
    if (!entry.is_object() || !entry.contains("data_offsets")) continue;
    const auto& offsets = entry["data_offsets"];
    if (offsets.size() != 2 || !offsets[1].is_number_unsigned()) continue;
    end = std::max(end, offsets[1].get<std::uint64_t>());
  }
  std::string file;
  append_little_endian(file, header.size(), sizeof(std::uint64_t));
  file += header;
  file.append(std::min(end, kMostZeros), '\0');
  return file;
}

// Every tensor by itself, also those that are no part of a model.
void read_tensors(const std::filesystem::path& path) {
  try {
    safetensors::Reader reader(path);
    for (const auto& [name, info] : reader.tensors()) {
      if (info.dtype == "U8") {
        static_cast<void>(reader.read_text(name));
      } else {
        static_cast<void>(reader.read_float32(name));
      }
    }
  } catch (const std::runtime_error&) {
    return;
  }
}

std::string bytes_of(const std::filesystem::path& path) {
  const ModelParts parts = load_model(path);
  return safetensors::encode(encode_model(parts), metadata_of(parts));
}

void write_and_read(const Model& model, const std::filesystem::path& path) {
  const std::string bytes = bytes_of(path);
  const MemoryFile file(bytes);
  try {
    require(Model::load(file.path()).weights_hash() == model.weights_hash(),
            "the weights are others when the model is written and read again");
    require(bytes_of(file.path()) == bytes,
            "the model is another when it is written and read again");
  } catch (const std::runtime_error& error) {
    throw Defect(std::string("the model is refused when it is written: ") + error.what());
  }
}

void predict(const Model& model) {
  const std::size_t features = model.parameters().network().features;
  const std::size_t masked = model.missing().masked.size();
  Dataset data(features - masked);
  data.add(std::vector<float>(3 * data.channels(), 0.5f), kNoLabel);
  static_cast<void>(model.predict_proba(data, 1));
}

}  // namespace

// An input that begins with a brace is the header of a file, which the rest follows from; one that
// begins with '@' is UTF-8 text, the metadata of a model that is whole beside.
bool try_model(std::string_view input) {
  const bool is_metadata = input.starts_with('@') && data_file::is_utf8(input);
  const MemoryFile file(is_metadata              ? model_with_metadata(input.substr(1))
                        : input.starts_with('{') ? file_of_header(input)
                                                 : std::string(input));
  within_bounds([&] {
    read_tensors(file.path());
    return true;
  });
  std::optional<Model> model;
  try {
    model = within_bounds([&] { return Model::load(file.path()); });
  } catch (const ModelFileError& error) {
    require_message(error, "cannot load model '" + file.path().string());
    return false;
  }
  write_and_read(*model, file.path());
  predict(*model);
  return true;
}

}  // namespace lockstep::fuzz
