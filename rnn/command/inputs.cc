#include "inputs.h"

#include "lockstep/backend.h"
#include "lockstep/rnn/data_file.h"

namespace lockstep::command {

void select_backend(const std::string& name) {
  try {
    if (!name.empty()) set_backend(name);
    static_cast<void>(active_backend());
  } catch (const std::invalid_argument& error) {
    throw UsageError(error.what());
  }
}

std::optional<TargetKind> targets_for(const std::string& head) {
  return head == "auto" ? std::nullopt : std::optional(targets_of_head(head));
}

Dataset load_sequences(const DataSource& source) {
  if (source.dataset.empty()) return read_dataset(source.file, {.ignores_targets = true});
  return make_builtin_dataset(source.dataset, kBuiltinSeed).test;
}

Dataset load_data(const DataSource& source, const std::string& head) {
  if (source.dataset.empty()) return read_dataset(source.file, {.targets = targets_for(head)});
  return make_builtin_dataset(source.dataset, kBuiltinSeed).test;
}

}  // namespace lockstep::command
