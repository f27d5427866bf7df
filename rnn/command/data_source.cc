#include "data_source.h"

#include <algorithm>

#include "lockstep/rnn/data_file.h"
#include "text.h"

namespace lockstep::command {
namespace {

std::vector<std::string> builtin_names() {
  std::vector<std::string> names;
  for (const BuiltinInfo& info : builtin_datasets()) names.emplace_back(info.name);
  return names;
}

}  // namespace

void add_data_source(CLI::App& app, DataSource& source) {
  auto* file = app.add_option("DATA", source.file, "Data file: .ts, .tsv, .txt, .csv or .npz");
  app.add_option("--dataset", source.dataset, "Built-in data set instead of DATA")
      ->check(one_of(builtin_names()))
      ->excludes(file);
}

void require_data_source(const DataSource& source, std::string_view verb) {
  if (!source.file.empty() || !source.dataset.empty()) return;
  throw UsageError(std::string(verb) + ": give a data file or --dataset NAME with one of " +
                   join(builtin_names(), ", "));
}

TrainTest load_builtin(const std::string& dataset) {
  constexpr std::uint64_t kSeed = 1;
  return make_builtin_dataset(dataset, kSeed);
}

Dataset load_data(const DataSource& source) {
  return source.dataset.empty() ? read_dataset(source.file) : load_builtin(source.dataset).test;
}

void require_labels(const Dataset& data, const std::string& name) {
  if (data.empty()) throw std::runtime_error(name + " holds no sequences");
  const auto missing = std::find(data.labels().begin(), data.labels().end(), kNoLabel);
  if (missing == data.labels().end()) return;
  throw std::runtime_error(name + ": sequence " + std::to_string(missing - data.labels().begin()) +
                           " (counted from 0) has no label, which is needed here");
}

void require_trainable(const Dataset& data, const std::string& name) {
  require_labels(data, name);
  if (data.classes() >= 2) return;
  throw std::runtime_error(name + " has only the class '" + data.class_names()[0] +
                           "', but a classifier needs at least two");
}

void require_channels(const Dataset& data, std::size_t channels, const std::string& name) {
  if (data.channels() == channels) return;
  throw std::runtime_error(name + " has " + counted(data.channels(), "channel", "channels") +
                           ", but the model takes " + std::to_string(channels));
}

Dataset match_classes(const Dataset& data, const std::vector<std::string>& class_names,
                      const std::string& name) {
  try {
    return data.with_classes(class_names);
  } catch (const std::invalid_argument& error) {
    throw std::runtime_error(name + ": " + error.what() + ": " + join(class_names, ", "));
  }
}

Dataset prepare_labelled(const RnnClassifier& model, const Dataset& data, const std::string& name) {
  require_labels(data, name);
  require_channels(data, model.parameters.network().features, name);
  Dataset result = match_classes(data, model.class_names, name);
  model.normalization.apply(result);
  return result;
}

}  // namespace lockstep::command
