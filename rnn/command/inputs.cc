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
