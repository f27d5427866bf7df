#include "training_data.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "inputs.h"
#include "text.h"

namespace lockstep::command {

TrainingData load_train_and_test(const TrainingCommand& command) {
  if (!command.source.dataset.empty()) {
    auto [train, test] = make_builtin_dataset(command.source.dataset, kBuiltinSeed);
    return {.train = std::move(train), .test = std::move(test)};
  }
  ReadOptions reading = reading_for(command.source, command.options.head);
  reading.allow_missing = command.options.missing != MissingKind::fail;
  LoadedData train = load_file(command.source.file, reading, command.quiet);
  TrainingData data{.train = std::move(train.data),
                    .notes = std::move(train.notes),
                    .files = std::move(train.files)};
  if (command.test_file.empty()) return data;
  reading.targets = data.train.target_kind();
  if (command.source.file == "-") reading.format.clear();
  LoadedData test = load_file(command.test_file, reading, command.quiet);
  data.test = std::move(test.data);
  data.files.insert(data.files.end(), test.files.begin(), test.files.end());
  return data;
}

std::string test_name(const TrainingCommand& command) {
  return command.test_file.empty() ? command.source.name() : "'" + command.test_file + "'";
}

Model new_model(const Dataset& train, const Options& options) {
  Options of_all = options;
  of_all.validation = 0;
  Model model(train, of_all);
  model.set_options(options);
  return model;
}

std::string useless_option(const std::vector<std::string>& names, const std::string& head) {
  struct Needs {
    const char* option;
    const char* heads;  // with what their names begin
  };
  constexpr Needs kNeeds[] = {{"loss", "regress"},
                              {"delta", "regress"},
                              {"normalize_targets", "regress"},
                              {"class_weights", "classify"},
                              {"label_smoothing", "classify"}};
  const auto is_given = [&](const char* option) {
    return std::ranges::find(names, option) != names.end();
  };
  for (const Needs& needs : kNeeds) {
    if (!head.starts_with(needs.heads) && is_given(needs.option)) return needs.option;
  }
  return is_of_steps(targets_of_head(head)) && is_given("pool") ? "pool" : "";
}

void require_sense_for(const TrainingCommand& command, const std::string& head) {
  const std::string option = useless_option(command.given_options, head);
  if (option.empty()) return;
  throw UsageError(flag_of(option) + ": it has no effect with the head " + head);
}

bool is_same_file(const std::filesystem::path& a, const std::filesystem::path& b) {
  if (a.empty() || b.empty()) return false;
  std::error_code error;
  if (std::filesystem::equivalent(a, b, error)) return true;
  // weakly_canonical would leave a relative path to nothing relative.
  const auto canonical = [&](const std::filesystem::path& path) {
    const auto full = std::filesystem::absolute(path, error);
    return error ? path : std::filesystem::weakly_canonical(full, error);
  };
  const auto other = canonical(b);
  return canonical(a) == other && !error;
}

}  // namespace lockstep::command
