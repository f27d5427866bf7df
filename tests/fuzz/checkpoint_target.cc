// Checkpoints: a training is resumed and continues, or is refused.
#include <optional>

#include "fuzz/input.h"
#include "fuzz/seeds.h"
#include "lockstep/rnn/model.h"

namespace lockstep::fuzz {
namespace {

// A few minibatches more, of the data that the seeds were trained on.
void continue_training(Model& model) {
  FitObserver observer;
  std::size_t left = 5;
  observer.on_batch = [&left](const BatchProgress&) { return --left > 0; };
  try {
    static_cast<void>(model.fit(training_data(), observer));
  } catch (const InvalidArgument&) {
    return;
  }
}

}  // namespace

// An input that begins with a brace is the state of a training, in a file that is whole beside.
bool try_checkpoint(std::string_view input) {
  const MemoryFile file(input.starts_with('{') ? checkpoint_with_state(std::string(input))
                                               : std::string(input));
  std::optional<Model> model;
  try {
    model = within_bounds([&] { return Model::resume(file.path()); });
  } catch (const ModelFileError& error) {
    require_message(error, "cannot resume training '" + file.path().string());
    return false;
  }
  continue_training(*model);
  return true;
}

}  // namespace lockstep::fuzz
