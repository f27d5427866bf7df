#include "fuzz/seeds.h"

#include <fstream>
#include <iterator>
#include <map>

#include "binary.h"
#include "files/safetensors.h"
#include "floats.h"
#include "fuzz/input.h"
#include "lockstep/rnn/model.h"
#include "temporary_directory.h"

namespace lockstep::fuzz {
namespace {

constexpr const char* kMetadata = "lockstep";
constexpr const char* kState = "checkpoint.state";

std::string content_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

Options small(const std::string& cell) {
  Options options;
  options.cell = cell;
  options.hidden = 2;
  options.epochs = 2;
  options.batch_size = 3;
  options.threads = 1;
  return options;
}

Dataset data_of(TargetKind kind) {
  const bool has_classes = is_label(kind);
  Dataset data(2, kind,
               has_classes ? std::vector<std::string>{"a", "b"} : std::vector<std::string>{"t"});
  for (std::size_t i = 0; i < 7; ++i) {
    const std::size_t length = 2 + i % 3;
    std::vector<float> values = normal_floats(2 * length, i);
    if (i == 1) values[0] = kNaN;
    const int label = i % 2 == 0 ? 0 : 1;
    if (kind == TargetKind::label) data.add(values, label);
    if (kind == TargetKind::step_labels) data.add_steps(values, std::vector<int>(length, label));
    if (kind == TargetKind::values) data.add_values(values, {values.data() + 1, 1});
  }
  data.set_channel_names({"x", "y"});
  return data;
}

std::string model_bytes(TargetKind kind, Options options) {
  const TemporaryDirectory directory;
  options.missing = MissingKind::mask;
  Model(data_of(kind), options).save(directory / "model");
  return content_of(directory / "model");
}

// The tensors of a file under the names of another module, and nothing about them.
std::string renamed(const std::string& bytes, const std::string& rnn, const std::string& head) {
  const MemoryFile file(bytes);
  safetensors::Reader reader(file.path());
  std::vector<safetensors::Tensor> tensors;
  for (const auto& [name, info] : reader.tensors()) {
    const bool is_head = name.starts_with("head.");
    const std::string last = name.substr(name.find('.'));
    if (!is_head && last.starts_with(".bias")) continue;
    tensors.push_back({(is_head ? head : rnn) + last, info.shape, reader.read_float32(name)});
  }
  return safetensors::encode(tensors, {});
}

std::string metadata_of(const std::string& bytes) {
  const MemoryFile file(bytes);
  return safetensors::Reader(file.path()).metadata().at(kMetadata);
}

// The JSON text in front.
std::string header_of(const std::string& bytes) {
  constexpr std::size_t kLengthBytes = sizeof(std::uint64_t);
  return bytes.substr(kLengthBytes, read_little_endian(bytes.data(), kLengthBytes));
}

// A training that has done this number of minibatches.
std::string checkpoint_bytes(const Options& options, std::size_t minibatches) {
  const TemporaryDirectory directory;
  Model model(training_data(), options);
  FitObserver observer;
  observer.checkpoints = {.path = directory / "checkpoint"};
  observer.on_batch = [&](const BatchProgress&) { return --minibatches > 0; };
  static_cast<void>(model.fit(training_data(), observer));
  return content_of(directory / "checkpoint");
}

std::string state_of(const std::string& bytes) {
  const MemoryFile file(bytes);
  return safetensors::Reader(file.path()).read_text(kState);
}

void add_models(std::vector<Seed>& seeds) {
  Options stack = small("gru");
  stack.layers = 2;
  stack.bidirectional = true;
  stack.normalize = NormalizationKind::series;
  const std::map<std::string, std::string> models = {
      {"tanh", model_bytes(TargetKind::label, small("tanh"))},
      {"gru_stack", model_bytes(TargetKind::label, stack)},
      {"relu_steps", model_bytes(TargetKind::step_labels, small("relu"))},
      {"lstm_numbers", model_bytes(TargetKind::values, small("lstm"))},
  };
  seeds.push_back({"model", "metadata", '@' + metadata_of(models.at("tanh"))});
  for (const auto& [name, bytes] : models) {
    seeds.push_back({"model", name, bytes});
    seeds.push_back({"model", name + ".json", header_of(bytes)});
    seeds.push_back({"model", name + "_torch", renamed(bytes, "net.0", "fc")});
  }
}

void add_checkpoints(std::vector<Seed>& seeds) {
  Options averaged = small("gru");
  averaged.optimizer = "adamw";
  averaged.ema = 0.5;
  averaged.schedule = LearningRateSchedule::plateau;
  averaged.epochs = 4;
  Options centered = small("tanh");
  centered.optimizer = "rmsprop";
  centered.centered = true;
  centered.epochs = 4;
  const std::map<std::string, std::string> checkpoints = {
      {"within", checkpoint_bytes(small("tanh"), 2)},
      {"after", checkpoint_bytes(small("tanh"), 100)},
      {"averaged", checkpoint_bytes(averaged, 5)},
      {"centered", checkpoint_bytes(centered, 4)},
  };
  for (const auto& [name, bytes] : checkpoints) seeds.push_back({"checkpoint", name, bytes});
  for (const char* name : {"within", "after"}) {
    seeds.push_back({"checkpoint", std::string(name) + ".json", state_of(checkpoints.at(name))});
  }
}

}  // namespace

const Dataset& training_data() {
  static const Dataset kData = [] {
    Dataset data(1, {"a", "b"});
    for (std::size_t i = 0; i < 8; ++i) data.add(normal_floats(2 + i % 3, i), i % 2 == 0 ? 0 : 1);
    return data;
  }();
  return kData;
}

std::string model_with_metadata(std::string_view metadata) {
  static const std::string kWhole = model_bytes(TargetKind::label, small("tanh"));
  const MemoryFile file(kWhole);
  safetensors::Reader reader(file.path());
  std::vector<safetensors::Tensor> tensors;
  for (const auto& [name, info] : reader.tensors()) {
    tensors.push_back({name, info.shape, reader.read_float32(name)});
  }
  return safetensors::encode(tensors, {{kMetadata, std::string(metadata)}});
}

std::string checkpoint_with_state(std::string state) {
  static const std::string kWhole = checkpoint_bytes(small("tanh"), 2);
  const MemoryFile file(kWhole);
  safetensors::Reader reader(file.path());
  std::vector<safetensors::Tensor> tensors;
  for (const auto& [name, info] : reader.tensors()) {
    if (name != kState) tensors.push_back({name, info.shape, reader.read_float32(name)});
  }
  tensors.push_back(
      {.name = kState, .shape = {state.size()}, .values = {}, .text = std::move(state)});
  return safetensors::encode(tensors, reader.metadata());
}

std::vector<Seed> written_seeds() {
  std::vector<Seed> seeds;
  add_models(seeds);
  add_checkpoints(seeds);
  return seeds;
}

}  // namespace lockstep::fuzz
