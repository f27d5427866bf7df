#include "train_options.h"

namespace lockstep::command {
namespace {

void add_data_options(CLI::App& app, TrainCommand& c) {
  add_data_source(app, c.source);
  app.add_option("--test", c.test_file, "Data file to test on; its labels are matched by name")
      ->excludes("--dataset");
  app.add_flag("--list-datasets", c.list_datasets, "List the built-in data sets and exit");
}

void add_output_options(CLI::App& app, TrainCommand& c) {
  app.add_option("--model", c.model_file, "Write the trained model here (safetensors)");
  app.add_option("--report", c.report_file, "Write a page with curves and confusion matrix here");
  app.add_flag("--json", c.json, "One JSON object per epoch and a final one");
  app.add_flag("--quiet", c.quiet, "No progress, no curve; with --json only the final object");
}

void require_effect(const CLI::App& app, const Options& options) {
  for (const OptionInfo& info : options_table()) {
    const std::string flag = flag_of(info.name);
    if (app.count(flag) == 0 || options.uses(info.name)) continue;
    throw UsageError(flag + ": it has no effect without " + flag_of(info.needs));
  }
}

}  // namespace

void add_train_options(CLI::App& app, TrainCommand& command) {
  add_data_options(app, command);
  add_backend_option(app, command.backend);
  add_output_options(app, command);
  for (const OptionInfo& info : options_table()) add_option(app, command.options, info.name);
  app.parse_complete_callback([&app, &command] { require_effect(app, command.options); });
}

}  // namespace lockstep::command
