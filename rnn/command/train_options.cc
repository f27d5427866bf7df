#include "train_options.h"

namespace lockstep::command {
namespace {

constexpr std::uint64_t kMostHidden = 65536;  // hidden weights of 16 GiB

void add_data_options(CLI::App& app, TrainCommand& c) {
  add_data_source(app, c.source);
  app.add_option("--test", c.test_file, "Data file to test on; its labels are matched by name")
      ->excludes("--dataset");
  app.add_flag("--list-datasets", c.list_datasets, "List the built-in data sets and exit");
  add_choice(app, "--normalize", c.options.normalize, kNormalizations,
             "Standardise inputs: each channel over the training set, or each series on its own");
  auto* validation = app.add_option("--validation", c.options.validation,
                                    "Fraction of the training data to hold out, drawn by --seed");
  validation->check(between(0, 1));
  add_count(app, "--patience", c.options.patience, 1, kUnlimitedCount,
            "Stop when the validation loss has not improved for so many epochs, and keep the best "
            "weights")
      ->needs(validation)
      ->default_str("");
}

void add_model_options(CLI::App& app, TrainCommand& c) {
  app.add_option("--cell", c.options.cell, "Cell of the recurrent layer")
      ->check(one_of(cell_names()))
      ->capture_default_str();
  add_count(app, "--hidden", c.options.hidden, 1, kMostHidden, "Recurrent units");
  add_choice(app, "--init", c.options.init, kInitializers, "Initial weights");
  app.add_option("--sigma", c.options.sigma, "Standard deviation for --init gaussian")
      ->check(positive())
      ->capture_default_str();
}

void add_optimizer_options(CLI::App& app, Options& t) {
  add_count(app, "--epochs", t.epochs, 1, kUnlimitedCount, "Passes over the training set");
  add_count(app, "--batch-size", t.batch_size, 1, kUnlimitedCount, "Sequences per minibatch");
  app.add_option("--learning-rate", t.learning_rate, "Step along the minibatch's mean gradient")
      ->check(positive())
      ->capture_default_str();
  add_choice(app, "--schedule", t.schedule, kSchedules, "How the learning rate falls");
  app.add_option("--decay", t.decay, "Factor of --schedule step")
      ->check(positive())
      ->capture_default_str();
  add_count(app, "--decay-epochs", t.decay_epochs, 1, kUnlimitedCount,
            "Epochs between the falls of --schedule step");
  app.add_option("--momentum", t.momentum, "Momentum; 0: plain gradient descent")
      ->check(from_until(0, 1))
      ->capture_default_str();
  app.add_option("--clip-norm", t.clip_norm, "Largest L2 norm of the mean gradient; 0: no limit")
      ->check(in_range(0, kUnlimited))
      ->capture_default_str();
  add_count(app, "--truncate", t.truncate, 0, kUnlimitedCount,
            "Go back over so many last timesteps of each sequence only; 0: over all");
  app.add_flag("!--no-shuffle", t.shuffle, "Keep the order of the data in every epoch");
  add_count(app, "--seed", t.seed, 0, kUnlimitedCount,
            "Seed of weights, order and validation split");
  add_threads_option(app, t.threads);
}

void add_output_options(CLI::App& app, TrainCommand& c) {
  app.add_option("--model", c.model_file, "Write the trained model here (safetensors)");
  app.add_option("--report", c.report_file, "Write a page with curves and confusion matrix here");
  app.add_flag("--json", c.json, "One JSON object per epoch and a final one");
  app.add_flag("--quiet", c.quiet, "No progress, no curve; with --json only the final object");
}

void require_effect(const CLI::App& app, const std::string& flag, bool has_effect,
                    const std::string& needed) {
  if (app.count(flag) == 0 || has_effect) return;
  throw CLI::ValidationError(flag, "it has no effect without " + needed);
}

}  // namespace

void add_train_options(CLI::App& app, TrainCommand& command) {
  add_data_options(app, command);
  add_model_options(app, command);
  add_optimizer_options(app, command.options);
  add_backend_option(app, command.backend);
  add_output_options(app, command);
  app.parse_complete_callback([&app, &command] {
    const bool steps = command.options.schedule == LearningRateSchedule::step;
    require_effect(app, "--sigma", command.options.init == Initializer::gaussian,
                   "--init gaussian");
    require_effect(app, "--decay", steps, "--schedule step");
    require_effect(app, "--decay-epochs", steps, "--schedule step");
  });
}

}  // namespace lockstep::command
