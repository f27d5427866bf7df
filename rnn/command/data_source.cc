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

CLI::Validator one_of(std::vector<std::string> words) {
  const std::string list = join(words, ", ");
  const auto check = [words = std::move(words), list](std::string& text) {
    if (std::find(words.begin(), words.end(), text) != words.end()) return std::string();
    return "unknown '" + text + "', expected one of " + list;
  };
  return {check, "{" + list + "}"};
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

void require_sequences(const Dataset& data, const std::string& name) {
  if (data.empty()) throw std::runtime_error(name + " holds no sequences");
}

}  // namespace lockstep::command
