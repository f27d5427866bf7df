#include <algorithm>
#include <cmath>
#include <csignal>
#include <memory>
#include <numeric>
#include <span>
#include <utility>

#include "data_source.h"
#include "evaluation_output.h"
#include "files/model_metadata.h"
#include "fit.h"
#include "lockstep/backend.h"
#include "lockstep/rnn/data_file.h"
#include "lockstep/rnn/model_file.h"
#include "lockstep/rnn/random.h"
#include "output.h"
#include "progress.h"
#include "report.h"
#include "text.h"
#include "train_summary.h"
#include "verbs.h"

namespace lockstep::command {
namespace {

// Normalized, labelled, of the same classes. `validation` and `test` are empty where there is none.
struct TrainingData {
  Dataset train;
  Dataset validation;
  Dataset test;
};

bool has_test(const TrainCommand& command) {
  return !command.test_file.empty() || !command.source.dataset.empty();
}

std::string test_name(const TrainCommand& command) {
  return command.test_file.empty() ? command.source.name() : "'" + command.test_file + "'";
}

TrainTest load_train_and_test(const TrainCommand& command) {
  if (!command.source.dataset.empty()) return load_builtin(command.source.dataset);
  Dataset train = read_dataset(command.source.file);
  Dataset test(train.channels());
  if (!command.test_file.empty()) test = read_dataset(command.test_file);
  return {std::move(train), std::move(test)};
}

// Moves a random share of `train` to `validation`; both keep the order of the file.
void split_validation(TrainingData& data, const Options& options) {
  const double share = options.validation;
  const std::size_t size = data.train.size();
  const auto held_out = static_cast<std::size_t>(std::lround(share * static_cast<double>(size)));
  if (held_out == 0 || held_out == size) {
    throw UsageError(
        format("--validation: a share of %g of %zu sequences leaves no sequence to "
               "validate on or none to train on",
               share, size));
  }
  std::vector<std::size_t> order(size);
  std::iota(order.begin(), order.end(), std::size_t{0});
  KeyedRandom(options.seed, "validation").shuffle(order);
  const auto middle = order.begin() + static_cast<std::ptrdiff_t>(held_out);
  std::sort(order.begin(), middle);
  std::sort(middle, order.end());
  data.validation = data.train.subset(std::span(order.begin(), middle));
  data.train = data.train.subset(std::span(middle, order.end()));
}

// Fills `model` up to the training itself.
TrainingData prepare(const TrainCommand& command, RnnClassifier& model) {
  auto [train, test] = load_train_and_test(command);
  require_trainable(train, command.source.name());
  model.class_names = train.class_names();
  model.parameters =
      Parameters({.features = train.channels(),
                  .layers = {{.cell = command.options.cell, .hidden = command.options.hidden}},
                  .outputs = train.classes()});
  initialize(model.parameters, command.options.init, command.options.sigma, command.options.seed);
  TrainingData data{std::move(train),
                    Dataset(model.parameters.network().features, model.class_names),
                    Dataset(model.parameters.network().features)};
  if (command.options.validation > 0) split_validation(data, command.options);
  model.normalization = Normalization::fit(command.options.normalize, data.train);
  model.normalization.apply(data.train);
  model.normalization.apply(data.validation);
  if (has_test(command)) data.test = prepare_labelled(model, test, test_name(command));
  return data;
}

FitResult fit_and_show(TrainingRun& run, const TrainingData& data,
                       const InterruptHandler& interrupt) {
  const TrainCommand& command = run.command;
  Progress progress(command.options.epochs, run.timesteps, command.quiet);
  FitObserver observer;
  observer.on_batch = [&](const BatchProgress& batch) { progress.on_batch(batch); };
  observer.on_epoch = [&](const EpochResult& epoch) {
    progress.on_epoch(epoch);
    if (!command.json || command.quiet) return;
    print(json_line(epoch_json(epoch)));
    flush_output();
  };
  return fit(run.model.parameters, data.train, data.validation, command, observer, interrupt);
}

void evaluate_run(TrainingRun& run, const TrainingData& data) {
  const auto evaluated = [&](const Dataset& part) {
    return evaluate_on(run.model.parameters, part, run.fit.threads);
  };
  run.train = evaluated(data.train);
  if (!data.validation.empty()) run.validation = evaluated(data.validation);
  if (!data.test.empty()) run.test = evaluated(data.test);
}

void tell_interruption(const TrainingRun& run) {
  const std::string& model = run.command.model_file;
  const std::string sentence =
      format("lockstep: stopped by %s in epoch %zu; ",
             run.fit.signal == SIGINT ? "SIGINT" : "SIGTERM", run.fit.history.size()) +
      (model.empty() ? "no model was asked for" : "the model is saved in '" + model + "'") + "\n";
  std::fputs(sentence.c_str(), stderr);
}

void print_run(const TrainingRun& run) {
  if (run.command.json) {
    print(json_line(summary_json(run)));
    return;
  }
  if (!run.command.quiet) print(curve_text(run.fit.history) + "\n");
  print(summary_text(run));
}

int list_datasets() {
  for (const BuiltinInfo& info : builtin_datasets()) {
    print(pad(info.name, 22) + "  " + std::string(info.summary) + "\n");
  }
  return 0;
}

// An output must replace neither data nor the other output.
void require_distinct_files(const TrainCommand& command) {
  const std::vector<std::pair<std::string, std::string>> files = {
      {"DATA", command.source.file},
      {"--test", command.test_file},
      {"--model", command.model_file},
      {"--report", command.report_file}};
  constexpr std::size_t kFirstOutput = 2;
  for (std::size_t output = kFirstOutput; output < files.size(); ++output) {
    for (std::size_t other = 0; other < output; ++other) {
      if (!is_same_file(files[output].second, files[other].second)) continue;
      throw UsageError(files[output].first + " '" + files[output].second +
                       "' is the same file as " + files[other].first +
                       ", which writing it would replace");
    }
  }
}

// This and require_outputs find out before the training what would lose its result after it.
void require_savable(const RnnClassifier& model, const std::string& data) {
  try {
    static_cast<void>(encode_metadata(model));
  } catch (const std::runtime_error& error) {
    throw std::runtime_error("cannot save a model of " + data + ": " + error.what());
  }
}

void require_outputs(const TrainCommand& command) {
  require_distinct_files(command);
  if (!command.model_file.empty()) require_writable(command.model_file, "model");
  if (!command.report_file.empty()) require_writable(command.report_file, "report");
}

int run_train(const TrainCommand& command) {
  if (command.list_datasets) return list_datasets();
  require_data_source(command.source, "train");
  select_backend(command.backend);
  require_outputs(command);
  TrainingRun run;
  run.command = command;
  run.backend = active_backend().name;
  const TrainingData data = prepare(command, run.model);
  if (!command.model_file.empty()) require_savable(run.model, command.source.name());
  run.timesteps = data.train.total_timesteps();
  // Until everything is written: a first Ctrl-C that comes while the model is saved kills nothing.
  const InterruptHandler interrupt;
  run.fit = fit_and_show(run, data, interrupt);
  if (!command.model_file.empty()) save_model(run.model, command.model_file);
  if (run.fit.signal != 0) tell_interruption(run);
  evaluate_run(run, data);
  if (!command.report_file.empty()) write_report(run, command.report_file);
  print_run(run);
  return run.fit.signal == 0 ? 0 : 128 + run.fit.signal;  // as shells report a signal
}

}  // namespace

Verb add_train(CLI::App& command) {
  const auto options = std::make_shared<TrainCommand>();
  CLI::App* app = command.add_subcommand("train", "Train a model");
  add_train_options(*app, *options);
  app->footer(
      "On a terminal, standard error shows progress. The result is the same to the last bit for\n"
      "any number of threads and on all fused backends (lockstep info). Ctrl-C ends the training\n"
      "after the current step, saves the model and exits with 130; a second one kills at once.\n\n"
      "Examples:\n"
      "  lockstep train --dataset synthetic-control\n"
      "  lockstep train train.ts --test test.ts --hidden 100 --model model.safetensors\n"
      "  lockstep train data.csv --validation 0.2 --patience 10 --report report.html\n"
      "  lockstep train data.npz --schedule cosine --learning-rate 0.1 --json");
  return {app, [options] { return run_train(*options); }};
}

}  // namespace lockstep::command
