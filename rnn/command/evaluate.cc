#include <cmath>
#include <stdexcept>

#include "inputs.h"
#include "process.h"
#include "results.h"
#include "text.h"

namespace lockstep::command {

int run_evaluate(const Command& command) {
  select_backend(command.backend);
  require_no_standard_input(command.source.file);
  Model model = on_all_ranks([&] { return Model::load(command.model_file); });
  model.set_ranks(process_ranks());
  ReadOptions reading = reading_for(command.source, model.parameters().network().head);
  reading.allow_missing = model.missing().kind != MissingKind::fail;
  const LoadedData loaded = on_all_ranks([&] { return load_data(command.source, reading); });
  const Dataset& data = loaded.data;
  const std::string name = command.source.name();
  const Evaluation evaluation =
      about(name, [&] { return model.evaluate(data, command.options.threads); });
  if (!std::isfinite(evaluation.loss)) {
    throw std::runtime_error(name +
                             ": the model overflows on it: not all of its outputs are finite");
  }
  print(command.json ? evaluation_json(evaluation, model, loaded)
                     : evaluation_text(evaluation, model));
  return 0;
}

}  // namespace lockstep::command
