#include "train_options.h"

namespace lockstep::command {
namespace {

constexpr double kMostHidden = 65536;  // hidden weights of 16 GiB

void add_data_options(CLI::App& app, TrainCommand& c) {
  add_data_source(app, c.source);
  app.add_option("--test", c.test_file, "Data file to test on; its labels are matched by name")
      ->excludes("--dataset");
  app.add_flag("--list-datasets", c.list_datasets, "List the built-in data sets and exit");
  add_choice(app, "--normalize", c.normalization, kNormalizations,
             "Standardise inputs: each channel over the training set, or each series on its own");
  auto* validation = app.add_option("--validation", c.validation,
                                    "Fraction of the training data to hold out, drawn by --seed");
  validation->check(between(0, 1));
  app.add_option("--patience", c.patience,
                 "Stop when the validation loss has not improved for so many epochs, and keep the "
                 "best weights")
      ->check(in_range(1, kUnlimited))
      ->needs(validation);
}

void add_model_options(CLI::App& app, TrainCommand& c) {
  app.add_option("--hidden", c.hidden, "Recurrent units")
      ->check(in_range(1, kMostHidden))
      ->capture_default_str();
  add_choice(app, "--init", c.initializer, kInitializers, "Initial weights");
  app.add_option("--sigma", c.sigma, "Standard deviation for --init gaussian")
      ->check(positive())
      ->capture_default_str();
}

void add_optimizer_options(CLI::App& app, TrainOptions& t) {
  app.add_option("--epochs", t.epochs, "Passes over the training set")
      ->check(in_range(1, kUnlimited))
      ->capture_default_str();
  app.add_option("--batch-size", t.batch_size, "Sequences per minibatch")
      ->check(in_range(1, kUnlimited))
      ->capture_default_str();
  app.add_option("--learning-rate", t.learning_rate, "Step along the minibatch's mean gradient")
      ->check(positive())
      ->capture_default_str();
  add_choice(app, "--schedule", t.schedule, kSchedules, "How the learning rate falls");
  app.add_option("--decay", t.decay, "Factor of --schedule step")
      ->check(positive())
      ->capture_default_str();
  app.add_option("--decay-epochs", t.decay_epochs, "Epochs between the falls of --schedule step")
      ->check(in_range(1, kUnlimited))
      ->capture_default_str();
  app.add_option("--momentum", t.momentum, "Momentum; 0: plain gradient descent")
      ->check(from_until(0, 1))
      ->capture_default_str();
  app.add_option("--clip-norm", t.clip_norm, "Largest L2 norm of the mean gradient; 0: no limit")
      ->check(in_range(0, kUnlimited))
      ->capture_default_str();
  app.add_flag("!--no-shuffle", t.shuffle, "Keep the order of the data in every epoch");
  app.add_option("--seed", t.seed, "Seed of weights, order and validation split")
      ->check(in_range(0, kUnlimited))
      ->capture_default_str();
  add_threads_option(app, t.threads);
}

void add_output_options(CLI::App& app, TrainCommand& c) {
  app.add_option("--model", c.model_file, "Write the trained model here (safetensors)");
  app.add_option("--report", c.report_file, "Write a page with curves and confusion matrix here");
  app.add_flag("--json", c.json, "One JSON object per epoch and a final one");
  app.add_flag("--quiet", c.quiet, "No progress, no curve; with --json only the final object");
}

}  // namespace

void add_train_options(CLI::App& app, TrainCommand& command) {
  add_data_options(app, command);
  add_model_options(app, command);
  add_optimizer_options(app, command.training);
  add_backend_option(app, command.backend);
  add_output_options(app, command);
}

}  // namespace lockstep::command
