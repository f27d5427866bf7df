// Checkpoints: a training that is resumed goes on, or is refused.
#include "fuzz/input.h"
#include "fuzz/seeds.h"
#include "lockstep/rnn/model.h"

namespace lockstep::fuzz {
namespace {

// A few minibatches more, of the data that the seeds were trained on.
void go_on(Model& model) {
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
  try {
    Model model = within_bounds([&] { return Model::resume(file.path()); });
    go_on(model);
    return true;
  } catch (const ModelFileError&) {
    return false;
  }
}

}  // namespace lockstep::fuzz
