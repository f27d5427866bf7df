#include <cmath>
#include <memory>
#include <stdexcept>

#include "data_source.h"
#include "evaluation_output.h"
#include "lockstep/rnn/model.h"
#include "text.h"

namespace lockstep::command {
namespace {

struct EvaluateCommand {
  std::string model_file;
  DataSource source;
  std::string backend;
  Options options;
  bool json = false;
};

int run_evaluate(const EvaluateCommand& command) {
  require_data_source(command.source, "evaluate");
  select_backend(command.backend);
  const Model model = Model::load(command.model_file);
  const Dataset data = load_data(command.source);
  const std::string name = command.source.name();
  require_sequences(data, name);
  const Evaluation evaluation =
      about(name, [&] { return model.evaluate(data, command.options.threads); });
  if (std::isnan(evaluation.loss)) {
    throw std::runtime_error(name +
                             ": the model overflows on it: not all probabilities are finite");
  }
  print(command.json ? json_line(evaluation_json(evaluation, model.class_names()))
                     : evaluation_text(evaluation, model.class_names()));
  return 0;
}

}  // namespace

Verb add_evaluate(CLI::App& command) {
  const auto options = std::make_shared<EvaluateCommand>();
  CLI::App* app = command.add_subcommand("evaluate", "Measure a model on labelled data");
  app->add_option("MODEL", options->model_file, "Model file (safetensors)")->required();
  add_data_source(*app, options->source);
  add_option(*app, options->options, "threads");
  add_backend_option(*app, options->backend);
  app->add_flag("--json", options->json, "One JSON object instead of tables");
  app->footer(
      "Prints accuracy, loss, precision, recall and F1 of each class, and the confusion matrix.\n"
      "Labels are matched to the model's classes by name. A built-in set means its test part.\n\n"
      "Examples:\n"
      "  lockstep evaluate model.safetensors test.ts\n"
      "  lockstep evaluate model.safetensors --dataset synthetic-control --json");
  return {app, [options] { return run_evaluate(*options); }};
}

}  // namespace lockstep::command
