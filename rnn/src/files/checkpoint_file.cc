#include "files/checkpoint_file.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <stdexcept>
#include <string>
#include <utility>

#include "binary.h"
#include "data/mapped_file.h"
#include "definition.h"
#include "files/atomic_file.h"
#include "files/safetensors.h"
#include "files/strict_json.h"
#include "lockstep/backend.h"
#include "lockstep/error.h"

namespace lockstep {
namespace {

constexpr std::uint64_t kVersion = 1;
constexpr const char* kState = "checkpoint.state";
constexpr const char* kKept = "checkpoint.kept";
constexpr const char* kSlots = "checkpoint.optimizer";
constexpr const char* kAverage = "checkpoint.average";

// Numbers as text: JSON knows neither infinity nor all 64 bits.
template <class T>
std::string text_of(T number) {
  char text[40];
  return {text, std::to_chars(text, text + sizeof text, number).ptr};
}

template <class T>
void read(const Json& from, T& number) {
  const auto text = from.get<std::string>();
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || stop != text.data() + text.size()) {
    throw std::runtime_error("its state has " + quote(text) + " where a number is expected");
  }
}

// Calls visit(name, number) for all numbers of an object, to write or to read them.
template <class Epoch, class Visit>
void visit_epoch(Epoch& e, const Visit& visit) {
  visit("epoch", e.epoch);
  visit("loss", e.loss);
  visit("accuracy", e.accuracy);
  visit("learning_rate", e.learning_rate);
  visit("seconds", e.seconds);
  visit("timesteps", e.timesteps);
  visit("validation_loss", e.validation_loss);
  visit("validation_accuracy", e.validation_accuracy);
  visit("skipped", e.skipped);
  visit("failed_minibatch", e.failed_minibatch);
}

template <class State, class Visit>
void visit_trainer(State& s, const Visit& visit) {
  visit("minibatches", s.minibatches);
  visit("pass_minibatches", s.pass_minibatches);
  visit("pass_sequences", s.pass_sequences);
  visit("pass_weight", s.pass_weight);
  visit("pass_right", s.pass_right);
  visit("pass_targets", s.pass_targets);
  visit("plateau_best_loss", s.plateau.best_loss);
  visit("plateau_epochs", s.plateau.epochs_since_best);
  visit("plateau_factor", s.plateau.factor);
  visit("updates", s.updates);
  visit("beta1_power", s.beta_powers[0]);
  visit("beta2_power", s.beta_powers[1]);
}

template <class Kept, class Visit>
void visit_kept(Kept& k, const Visit& visit) {
  visit("last_epoch", k.last_epoch);
  visit("epoch", k.epoch);
  visit("loss", k.loss);
}

auto writer(JsonTexts& to) {
  return [&to](const char* name, auto number) { to[name] = json_text(text_of(number)); };
}
auto reader(const Json& from) {
  return [&from](const char* name, auto& number) { read(from.at(name), number); };
}

std::string encode_state(const TrainingParts& training) {
  const FitState& state = training.state;
  JsonTexts options;
  for (const OptionInfo& info : options_table()) {
    options[info.name] = json_text(training.options.get(info.name));
  }
  JsonTexts trainer = {{"is_in_pass", json_text(state.trainer.is_in_pass)}};
  visit_trainer(state.trainer, writer(trainer));
  JsonTexts pass;
  visit_epoch(state.trainer.pass, writer(pass));
  JsonTexts kept;
  visit_kept(state.kept, writer(kept));
  std::string history;
  for (const EpochResult& epoch : state.history) {
    JsonTexts entry;
    visit_epoch(epoch, writer(entry));
    history += (history.empty() ? "" : ",") + json_object(entry);
  }
  return json_object({{"version", json_text(kVersion)},
                      {"bits", json_text(std::uint64_t{kBitsVersion})},
                      {"rounding", json_text(training.rounding)},
                      {"data_hash", json_text(text_of(training.data_hash))},
                      {"options", json_object(options)},
                      {"trainer", json_object(trainer)},
                      {"pass", json_object(pass)},
                      {"kept", json_object(kept)},
                      {"history", "[" + history + "]"}});
}

void decode_state(const std::string& text, TrainingParts& training) {
  const Json all = parse_strict_json(text);
  try {
    const auto version = all.at("version").get<std::uint64_t>();
    if (version != kVersion) {
      throw std::runtime_error("its version is " + quote(std::to_string(version)) + ", expected " +
                               std::to_string(kVersion));
    }
    if (all.at("bits").get<std::uint64_t>() != kBitsVersion) {
      throw std::runtime_error("another version of Lockstep wrote it, which rounds otherwise");
    }
    training.rounding = all.at("rounding").get<std::string>();
    read(all.at("data_hash"), training.data_hash);
    for (const auto& [name, value] : all.at("options").members()) {
      training.options.set(name, value.get<std::string>());
    }
    FitState& state = training.state;
    const Json& trainer = all.at("trainer");
    state.trainer.is_in_pass = trainer.at("is_in_pass").get<bool>();
    visit_trainer(state.trainer, reader(trainer));
    visit_epoch(state.trainer.pass, reader(all.at("pass")));
    visit_kept(state.kept, reader(all.at("kept")));
    for (const Json& epoch : all.at("history").items()) {
      visit_epoch(state.history.emplace_back(), reader(epoch));
    }
  } catch (const JsonError&) {
    throw std::runtime_error("its state lacks a part, or one is of a wrong type");
  } catch (const std::invalid_argument& error) {
    throw std::runtime_error(std::string("its options: ") + error.what());
  }
}

safetensors::Tensor tensor_of(const char* name, std::span<const float> values) {
  return {name, {values.size()}, {values.begin(), values.end()}};
}

std::uint64_t add_words(std::uint64_t hash, std::span<const float> values) {
  for (const float value : values) {
    constexpr std::uint64_t kPrime = 0x100000001b3;
    hash = (hash ^ std::bit_cast<std::uint32_t>(value)) * kPrime;
  }
  return hash;
}

std::uint64_t add_data(std::uint64_t hash, const Inputs& inputs) {
  const Dataset& data = inputs.data;
  data_file::Readahead ahead(data);
  std::vector<float> values;
  hash = fnv1a(hash, data.size(), sizeof(std::uint64_t));
  hash = fnv1a(hash, data.channels(), sizeof(std::uint64_t));
  for (std::size_t i = 0; i < data.size(); ++i) {
    hash = fnv1a(hash, data.length(i), sizeof(std::uint64_t));
    ahead.before(i);
    values.resize(data.length(i) * data.channels());
    inputs.copy(i, 0, data.length(i), values.data());
    hash = add_words(hash, values);
    if (!is_label(data.target_kind())) hash = add_words(hash, data.targets(i));
  }
  for (const int label : data.labels()) {
    hash = fnv1a(hash, static_cast<std::uint64_t>(label), sizeof(std::uint64_t));
  }
  for (std::size_t i = 0; i < data.size(); ++i) {
    if (data.weight(i) != 1)
      hash = fnv1a(hash, i ^ std::bit_cast<std::uint32_t>(data.weight(i)), sizeof(std::uint64_t));
  }
  return hash;
}

}  // namespace

std::string rounding_here() {
  const BackendInfo& backend = active_backend();
  return backend.fused ? "with fused multiply-add" : std::string(backend.name);
}

std::uint64_t data_hash(const Inputs& train, const Inputs& validation) {
  return add_data(add_data(kFnvBasis, train), validation);
}

namespace {

// What no training can have written, so that nothing later relies on it.
void require_sound(const TrainingParts& training) {
  const FitState& state = training.state;
  const TrainerState& trainer = state.trainer;
  const std::size_t weights = training.model.parameters.values().size();
  const auto are_finite = [](std::span<const float> values) {
    return std::ranges::all_of(values, [](float value) { return std::isfinite(value); });
  };
  const std::size_t epochs = state.history.size() + (trainer.is_in_pass ? 1 : 0);
  const bool is_sound =
      state.kept.weights.size() == weights && are_finite(state.kept.weights) &&
      trainer.slots.size() % weights == 0 &&
      (trainer.average.empty() || trainer.average.size() == weights) &&
      trainer.pass.epoch == epochs && trainer.pass.failed_minibatch == 0 &&
      state.kept.last_epoch <= state.history.size() && state.kept.epoch <= state.kept.last_epoch &&
      trainer.updates <= trainer.minibatches && std::isfinite(trainer.plateau.factor);
  if (!is_sound) throw std::runtime_error("its state contradicts itself");
}

}  // namespace

TrainingParts load_checkpoint(const std::filesystem::path& path) {
  safetensors::Reader file(path);
  if (!file.tensors().contains(kState)) {
    throw std::runtime_error("it is no checkpoint of a training");
  }
  TrainingParts training;
  training.model = read_model(file, {kState, kKept, kSlots, kAverage});
  decode_state(file.read_text(kState), training);
  const auto values_of = [&](const char* name) {
    return file.tensors().contains(name) ? file.read_float32(name) : std::vector<float>();
  };
  FitState& state = training.state;
  state.kept.weights = values_of(kKept);
  state.trainer.slots = values_of(kSlots);
  state.trainer.average = values_of(kAverage);
  require_sound(training);
  return training;
}

void require_writable_checkpoint(const ModelParts& model) {
  require_writable_header(model, {kState, kKept, kSlots, kAverage});
}

void save_checkpoint(const TrainingParts& training, const std::filesystem::path& path) {
  const safetensors::Metadata metadata = metadata_of(training.model);
  std::vector<safetensors::Tensor> tensors = encode_model(training.model);
  const FitState& state = training.state;
  tensors.push_back(tensor_of(kKept, state.kept.weights));
  if (!state.trainer.slots.empty()) tensors.push_back(tensor_of(kSlots, state.trainer.slots));
  if (!state.trainer.average.empty()) {
    tensors.push_back(tensor_of(kAverage, state.trainer.average));
  }
  const std::string text = encode_state(training);
  tensors.push_back({.name = kState, .shape = {text.size()}, .values = {}, .text = text});
  const std::string bytes = safetensors::encode(tensors, metadata);
  write_file_atomically(path, bytes, Replaced::kept);
}

void require_same_training(const TrainingParts& training, const Options& options,
                           std::uint64_t hash) {
  for (const OptionInfo& info : options_table()) {
    if (info.may_change) continue;
    const std::string before = training.options.get(info.name);
    const std::string now = options.get(info.name);
    if (before == now) continue;
    std::string text = info.name;
    text.append(": the training to resume has '").append(before);
    throw InvalidArgument(text.append("', found '").append(now).append("'"));
  }
  if (hash != training.data_hash) {
    throw InvalidArgument("the data are not those of the training to resume");
  }
  if (rounding_here() == training.rounding) return;
  throw InvalidArgument("the training to resume ran on a backend " + quote(training.rounding) +
                        ", and '" + rounding_here() + "' rounds otherwise");
}

}  // namespace lockstep
