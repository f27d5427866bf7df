#include "lockstep/rnn/model.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "data/inputs.h"
#include "definition.h"
#include "files/checkpoint_file.h"
#include "files/model_file.h"
#include "heads/head.h"
#include "heads/loss_settings.h"
#include "infer/predict.h"
#include "lockstep/backend.h"
#include "lockstep/rnn/ranks.h"
#include "lockstep/version.h"
#include "network/tensors.h"
#include "ranks/gather.h"
#include "train/fit.h"

namespace lockstep {
namespace {

void require_some_targets(const Dataset& data) {
  const auto is_known = [](int label) { return label != kNoLabel; };
  bool some = std::ranges::any_of(data.labels(), is_known);
  for (std::size_t i = 0; i < data.size() && !is_label(data.target_kind()); ++i) {
    const auto is_number = [](float target) { return !std::isnan(target); };
    some = some || std::ranges::any_of(data.targets(i), is_number);
  }
  if (data.empty() || some) return;
  throw InvalidArgument("no target is known, which is needed here");
}

// Of values and of timesteps some may be missing, but not all.
void require_all_labels(const Dataset& data) {
  if (data.target_kind() != TargetKind::label) return require_some_targets(data);
  const auto missing = std::ranges::find(data.labels(), kNoLabel);
  if (missing == data.labels().end()) return;
  throw InvalidArgument("sequence " + std::to_string(missing - data.labels().begin()) +
                        " (counted from 0) has no label, which is needed here");
}

// What the options say, or by the data.
std::string head_for(const Dataset& train, const Options& options) {
  if (options.head != "auto") return options.head;
  for (const Head* head : kHeads) {
    if (head->targets == train.target_kind()) return std::string(head->name);
  }
  return "classify";
}

bool scales_targets(const Dataset& train, const Options& options) {
  const std::string head = head_for(train, options);
  return options.normalize_targets && (head == "regress" || head == "regress_steps");
}

Parameters first_weights(const Dataset& train, std::size_t features, const Options& options) {
  const Layer layer{
      .cell = options.cell, .hidden = options.hidden, .bidirectional = options.bidirectional};
  const std::string head = head_for(train, options);
  const bool has_steps = is_of_steps(targets_of_head(head));
  Parameters parameters({.features = features,
                         .layers = std::vector<Layer>(options.layers, layer),
                         .head = head,
                         .pool = has_steps ? Pooling::last : options.pool,
                         .outputs = train.classes()});
  initialize(parameters, options.init, options.sigma, options.seed);
  return parameters;
}

// What of the data will be learnt from, without what is held out.
Dataset learnt_part(const Dataset& train, const Options& o) {
  return o.validation == 0 ? train : split_validation(train, o.validation, o.seed).train;
}

// The system's calls may say so by an error of theirs.
bool is_out_of_memory(const std::exception& error) {
  const auto* const of_system = dynamic_cast<const std::system_error*>(&error);
  return of_system != nullptr && of_system->code() == std::errc::not_enough_memory;
}

// Numbers of a file that no network can have are errors of the file, not of an argument.
template <class Work>
auto or_cannot(const std::string& what, const Work& work) {
  const auto error_of = [&](const std::exception& error) {
    if (is_out_of_memory(error)) throw std::bad_alloc();
    return ModelFileError("cannot " + what + ": " + error.what());
  };
  try {
    return work();
  } catch (const std::runtime_error& error) {
    throw error_of(error);
  } catch (const std::invalid_argument& error) {
    throw error_of(error);
  }
}

template <class Work>
auto or_cannot(const char* verb, const char* what, const std::filesystem::path& path,
               const Work& work) {
  return or_cannot(std::string(verb) + " " + what + " '" + path.string() + "'", work);
}

std::uint64_t hash_of(const Inputs& inputs) { return data_hash(inputs, inputs.data.subset({})); }

}  // namespace

struct Model::State {
  ModelParts parts;
  Options options;
  std::optional<TrainingParts> paused{};   // that the next fit resumes
  std::unique_ptr<PassByPass> learning{};  // that the next learn goes on with
  Ranks* ranks = nullptr;

  // Data as the network takes them.
  struct Read {
    Dataset data;
    InputScale scale;
    [[nodiscard]] Inputs inputs() const { return {data, scale}; }
  };
  [[nodiscard]] Read read(const Dataset& data) const {
    Dataset whole = parts.missing.apply(data.with_channels(parts.channel_names));
    require_channels(parts.parameters.network(), whole);
    InputScale scale(parts.normalization, whole);
    return {std::move(whole), std::move(scale)};
  }
  // What the head makes of them, numbers as it has learnt them.
  [[nodiscard]] std::vector<float> outputs(const Dataset& data, int threads,
                                           const IsInterrupted& is_interrupted = {}) const {
    const Read own = read(data);
    if (ranks != nullptr) require_same_measurement(own.inputs());
    return lockstep::predict_proba(parts.parameters, own.inputs(), threads, is_interrupted, ranks);
  }
  [[nodiscard]] bool scales_targets() const { return !parts.targets.mean.empty(); }
  void set_options(const Options& next) {
    options = next;
    parts.loss = next.loss;
    parts.delta = next.delta;
  }
  // The same of labelled data, with labels numbered as the model's classes.
  [[nodiscard]] Read labelled(const Dataset& data) const {
    require_all_labels(data);
    require_targets(parts.parameters.network(), data);
    Read result = read(data.with_classes(parts.class_names));
    if (scales_targets()) parts.targets.apply(result.data);
    return result;
  }
  [[nodiscard]] static std::vector<Trait> traits_of_program() {
    return {{"version", "Lockstep " LOCKSTEP_VERSION ", bits " + std::to_string(kBitsVersion)},
            {"rounding, by its CPU or backend,", rounding_here()}};
  }
  static void add_hashes(std::vector<Trait>& traits, std::uint64_t hash_of_data,
                         const Parameters& weights) {
    traits.push_back({"model, by its hash,", std::to_string(lockstep::weights_hash(weights))});
    traits.push_back({"data set, by its hash,", std::to_string(hash_of_data)});
  }
  void require_same_measurement(const Inputs& inputs) const {
    std::vector<Trait> traits = traits_of_program();
    add_hashes(traits, hash_of(inputs), parts.parameters);
    require_same(*ranks, traits);
  }
  // What makes the bits of a training, and what ranks must do together.
  void require_same_ranks(std::uint64_t hash_of_data, const Checkpoints& checkpoints) const {
    std::vector<Trait> traits = traits_of_program();
    for (const OptionInfo& info : options_table()) {
      if (info.name == "threads" || info.name == "memory") continue;
      traits.push_back({"option " + info.name, options.get(info.name)});
    }
    add_hashes(traits, hash_of_data, paused ? paused->model.parameters : parts.parameters);
    const bool has_checkpoints = !checkpoints.path.empty();
    traits.push_back({"wish for checkpoints", has_checkpoints ? "yes" : "no"});
    traits.push_back({"number of epochs between checkpoints",
                      std::to_string(has_checkpoints ? checkpoints.every_epochs : 0)});
    traits.push_back({"number of minibatches that its checkpoint has learnt",
                      std::to_string(paused ? paused->state.trainer.minibatches : 0)});
    require_same(*ranks, traits);
  }
  FitResult learn(const Dataset& train, const std::function<bool(const BatchProgress&)>& on_batch,
                  const IsInterrupted& is_interrupted) {
    const Read own = labelled(train);
    if (ranks != nullptr) require_same_ranks(hash_of(own.inputs()), {});
    if (learning == nullptr || !learning->goes_on_with(options, ranks)) {
      learning = std::make_unique<PassByPass>(parts.parameters, options, ranks);
    }
    paused.reset();
    return learning->pass(own.inputs(), on_batch, is_interrupted, parts.parameters);
  }
  FitResult fit(const Dataset& train, const Dataset& validation, const FitObserver& observer) {
    learning.reset();
    const Read own_train = labelled(train);
    const Read own_validation = labelled(validation);
    const bool saves = observer.checkpoints && !observer.checkpoints->path.empty();
    if (saves) {
      or_cannot("write", "checkpoint", observer.checkpoints->path,
                [&] { require_writable_checkpoint(parts); });
    }
    const std::uint64_t hash = saves || paused || ranks != nullptr
                                   ? data_hash(own_train.inputs(), own_validation.inputs())
                                   : 0;
    if (ranks != nullptr) require_same_ranks(hash, observer.checkpoints.value_or(Checkpoints()));
    if (paused) require_same_training(*paused, options, hash);
    // A call that failed before may have left other weights.
    if (paused) parts.parameters = paused->model.parameters;
    // Once a minibatch is done there is no way back to where it was.
    FitObserver watched = observer;
    bool has_begun = false;
    watched.on_batch = [&](const BatchProgress& progress) {
      // From here on ranks have their shares of these.
      if (!has_begun && paused) paused->state.trainer.slots = paused->state.trainer.average = {};
      has_begun = true;
      return !observer.on_batch || observer.on_batch(progress);
    };
    const auto save = [&](const Parameters& parameters, const FitState& state) {
      ModelParts now = parts;
      now.parameters = parameters;
      const TrainingParts training{std::move(now), options, state, hash, rounding_here()};
      const std::filesystem::path& path = observer.checkpoints->path;
      or_cannot("write", "checkpoint", path, [&] { save_checkpoint(training, path); });
    };
    try {
      FitResult result =
          lockstep::fit(parts.parameters, own_train.inputs(), own_validation.inputs(), options,
                        watched, paused ? &paused->state : nullptr, save, ranks);
      // An interruption before the first minibatch leaves it to the next call.
      if (has_begun || result.status != FitStatus::stopped) paused.reset();
      return result;
    } catch (...) {
      if (has_begun) paused.reset();
      throw;
    }
  }
};

const char* Interrupted::what() const noexcept { return "interrupted"; }

// The options say what is known of how the parts were made.
Model::Model(std::unique_ptr<State> state) : state_(std::move(state)) {
  const std::vector<Layer>& layers = parameters().network().layers;
  state_->options.pool = parameters().network().pool;
  state_->options.head = parameters().network().head;
  state_->options.normalize_targets = state_->scales_targets();
  state_->options.loss = state_->parts.loss;
  state_->options.delta = state_->parts.delta;
  state_->options.missing = state_->parts.missing.kind;
  if (!layers.empty()) {
    state_->options.cell = layers[0].cell;
    state_->options.hidden = layers[0].hidden;
    state_->options.layers = layers.size();
    state_->options.bidirectional = layers[0].bidirectional;
  }
  state_->options.normalize = normalization().kind;
}
Model::~Model() = default;
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;

Model::Model(const Dataset& train, const Options& options) {
  validate(options);
  if (train.empty()) throw InvalidArgument("there is no sequence to learn from");
  require_all_labels(train);
  if (is_label(train.target_kind()) && train.classes() < 2) {
    throw InvalidArgument("only the class '" + train.class_names()[0] +
                          "', but a classifier needs at least two");
  }
  Dataset learnt = learnt_part(train, options);
  MissingRule missing = MissingRule::fit(options.missing, learnt);
  Parameters parameters = first_weights(train, train.channels() + missing.masked.size(), options);
  require_targets(parameters.network(), train);
  require_class_weights(options.class_weights, train.class_names());
  learnt = missing.apply(std::move(learnt));
  state_ = std::make_unique<State>(
      State{.parts = {.parameters = std::move(parameters),
                      .normalization = Normalization::fit(options.normalize, learnt),
                      .class_names = train.class_names(),
                      .targets =
                          scales_targets(train, options) ? TargetScale::fit(learnt) : TargetScale(),
                      .loss = options.loss,
                      .delta = options.delta,
                      .channel_names = train.channel_names(),
                      .missing = std::move(missing)},
            .options = options});
}

Model::Model(Parameters parameters, Normalization normalization,
             std::vector<std::string> class_names)
    : Model(std::make_unique<State>(State{
          {std::move(parameters), std::move(normalization), std::move(class_names), {}}, {}})) {
  try {
    require_whole(state_->parts);
  } catch (const std::runtime_error& error) {
    throw InvalidArgument(std::string("Model: ") + error.what());
  }
}

FitResult Model::fit(const Dataset& train, const FitObserver& observer) {
  const Options& o = state_->options;
  if (o.validation > 0) {
    const auto [rest, held_out] = split_validation(train, o.validation, o.seed);
    return state_->fit(rest, held_out, observer);
  }
  if (o.patience > 0) throw InvalidArgument("patience: there is no validation set to judge by");
  return state_->fit(train, train.subset({}), observer);
}

FitResult Model::fit(const Dataset& train, const Dataset& validation, const FitObserver& observer) {
  if (validation.empty()) throw InvalidArgument("there is no sequence to validate on");
  return state_->fit(train, validation, observer);
}

FitResult Model::learn(const Dataset& train,
                       const std::function<bool(const BatchProgress&)>& on_batch,
                       const IsInterrupted& is_interrupted) {
  return state_->learn(train, on_batch, is_interrupted);
}

std::vector<float> Model::predict_proba(const Dataset& data, int threads,
                                        const IsInterrupted& is_interrupted) const {
  std::vector<float> outputs = state_->outputs(data, threads, is_interrupted);
  if (state_->scales_targets()) target_scale().restore(outputs);
  return outputs;
}

std::vector<int> Model::predict(const Dataset& data, int threads,
                                const IsInterrupted& is_interrupted) const {
  if (!is_label(head_of(parameters().network()).targets)) {
    throw InvalidArgument("predict: the model gives values, not classes");
  }
  return most_probable(parameters().network(), state_->outputs(data, threads, is_interrupted));
}

Evaluation Model::evaluate(const Dataset& data, int threads,
                           const IsInterrupted& is_interrupted) const {
  require_targets(parameters().network(), data);
  require_all_labels(data);
  const Dataset named = data.with_classes(class_names());
  const auto measure = [&](std::span<const float> outputs, const Dataset& of) {
    return lockstep::evaluate(parameters().network(), outputs, of, state_->options);
  };
  std::vector<float> outputs = state_->outputs(named, threads, is_interrupted);
  if (!state_->scales_targets()) return measure(outputs, named);
  Dataset scaled = named;
  target_scale().apply(scaled);
  const double loss = measure(outputs, scaled).loss;  // as in the training
  target_scale().restore(outputs);
  Evaluation result = measure(outputs, named);
  result.loss = loss;
  return result;
}

Model Model::load(const std::filesystem::path& path) {
  return or_cannot("load", "model", path,
                   [&] { return Model(std::make_unique<State>(State{load_model(path), {}})); });
}

Model Model::resume(const std::filesystem::path& path) {
  return or_cannot("resume", "training", path, [&] {
    TrainingParts training = load_checkpoint(path);
    const Options options = training.options;
    auto state = std::make_unique<State>(State{training.model, options, std::move(training)});
    Model model(std::move(state));
    model.state_->options = options;
    return model;
  });
}

void Model::save(const std::filesystem::path& path) const {
  or_cannot("save", "model", path, [&] { save_model(state_->parts, path); });
}

Model Model::from_bytes(std::string_view bytes) {
  return or_cannot("read the model from memory",
                   [&] { return Model(std::make_unique<State>(State{decode_model(bytes), {}})); });
}

std::string Model::to_bytes() const {
  return or_cannot("write the model to memory", [&] { return model_bytes(state_->parts); });
}

void Model::require_savable(const std::filesystem::path& path) const {
  or_cannot("save", "model", path, [&] { lockstep::require_savable(state_->parts, path); });
}

void Model::set_ranks(Ranks* ranks) {
  state_->ranks = ranks != nullptr && ranks->size() > 1 ? ranks : nullptr;
}

void Model::set_options(const Options& options) {
  validate(options);
  require_class_weights(options.class_weights, class_names());
  state_->set_options(options);
}

void Model::require_fit(const Dataset& data) const { static_cast<void>(state_->labelled(data)); }

std::uint64_t Model::weights_hash() const { return lockstep::weights_hash(parameters()); }
const Options& Model::options() const { return state_->options; }
const std::vector<std::string>& Model::class_names() const { return state_->parts.class_names; }
const std::vector<std::string>& Model::channel_names() const { return state_->parts.channel_names; }
const MissingRule& Model::missing() const { return state_->parts.missing; }
const Normalization& Model::normalization() const { return state_->parts.normalization; }
const TargetScale& Model::target_scale() const { return state_->parts.targets; }
const Parameters& Model::parameters() const { return state_->parts.parameters; }

}  // namespace lockstep
