#include <algorithm>
#include <csignal>
#include <exception>
#include <filesystem>
#include <initializer_list>
#include <optional>
#include <span>
#include <utility>

#include "files/atomic_file.h"
#include "inputs.h"
#include "interrupts.h"
#include "lockstep/backend.h"
#include "lockstep/rnn/data_file.h"
#include "process.h"
#include "progress.h"
#include "results.h"
#include "text.h"
#include "training_data.h"

namespace lockstep::command {
namespace {

// Says which classes nothing will be learnt of.
void say_unlearnt(const Dataset& train, const Dataset& validation) {
  if (train.target_kind() != TargetKind::label) return;
  for (std::size_t c = 0; c < train.classes(); ++c) {
    const auto label = static_cast<int>(c);
    const bool is_learnt = std::ranges::find(train.labels(), label) != train.labels().end();
    const bool is_held_out =
        std::ranges::find(validation.labels(), label) != validation.labels().end();
    if (is_learnt || !is_held_out) continue;
    say("class '" + train.class_names()[c] +
        "' is only in the validation part, so nothing is learnt of it");
  }
}

TrainingData load_training_data(const TrainCommand& command) {
  TrainingData data = load_train_and_test(command);
  if (command.options.validation == 0) return data;
  try {
    auto [rest, held_out] =
        split_validation(data.train, command.options.validation, command.options.seed);
    say_unlearnt(rest, held_out);
    return {std::move(rest), std::move(held_out), std::move(data.test), std::move(data.notes),
            std::move(data.files)};
  } catch (const std::invalid_argument& error) {
    throw UsageError(std::string("--") + error.what());
  }
}

// The model that a training begins with or resumes; none if it makes a new one.
std::optional<Model> given_model(const TrainCommand& command) {
  if (!command.resume_file.empty()) return Model::resume(command.resume_file);
  if (!command.first_model_file.empty()) return Model::load(command.first_model_file);
  return {};
}

// What the command line asks of a model that is given, as it does not ask for all of its options.
Options options_for(const TrainCommand& command, const Model& model) {
  const bool resumes = !command.resume_file.empty();
  Options options = resumes ? model.options() : command.options;
  for (const OptionInfo& info : options_table()) {
    const std::string asked = command.options.get(info.name);
    const std::string known = model.options().get(info.name);
    const bool is_given =
        std::ranges::find(command.given_options, info.name) != command.given_options.end();
    const bool may_differ = resumes ? info.may_change : info.group != "Model";
    if (is_given && !may_differ && asked != known) {
      const std::string& file = resumes ? command.resume_file : command.first_model_file;
      std::string text = flag_of(info.name);
      text.append(": it is '").append(known).append("' in '").append(file);
      throw UsageError(text.append("', found '").append(asked).append("'"));
    }
    if (is_given && may_differ) options.set(info.name, asked);
    if (!resumes && !may_differ) options.set(info.name, known);
  }
  return options;
}

std::string previous_checkpoint(const TrainCommand& command) {
  return command.checkpoint_file.empty() ? "" : previous_of(command.checkpoint_file).string();
}

// Finds out before the training what would lose its result after it.
Model make_model(const TrainCommand& command, std::optional<Model> given,
                 const TrainingData& data) {
  const bool is_given = given.has_value();
  Model model =
      given ? std::move(*given)
            : about(command.source.name(), [&] { return new_model(data.train, command.options); });
  require_sense_for(command, model.parameters().network().head);
  if (is_given) about(command.source.name(), [&] { model.require_fit(data.train); });
  model.set_options(command.options);
  if (!command.checkpoint_file.empty() && speaks()) {
    about<std::runtime_error>("cannot write checkpoint '" + command.checkpoint_file + "'", [&] {
      require_replaceable(command.checkpoint_file);
      require_replaceable(previous_checkpoint(command));
    });
  }
  if (data.test) about(test_name(command), [&] { model.require_fit(*data.test); });
  if (!command.model_file.empty() && speaks()) model.require_savable(command.model_file);
  return model;
}

// Returns what went wrong with the output, which ends the training.
std::exception_ptr fit_and_show(TrainingRun& run, const TrainingData& data,
                                std::optional<NotedInterrupts>& noted) {
  const TrainCommand& command = run.command;
  Progress progress(command.options.epochs, data.train.total_timesteps(), command.quiet);
  std::exception_ptr failure;
  FitObserver observer;
  observer.checkpoints = {.path = command.checkpoint_file,
                          .every_epochs = command.checkpoint_epochs,
                          .every_seconds = command.checkpoint_seconds};
  observer.on_batch = [&](const BatchProgress& batch) {
    if (!noted) noted.emplace();
    progress.on_batch(batch);
    return noted_signal() == 0;
  };
  // A launcher that has sent a signal kills soon.
  if (process_ranks() != nullptr) observer.is_interrupted = [] { return noted_signal() != 0; };
  observer.on_epoch = [&](const EpochResult& epoch) {
    progress.on_epoch(epoch);
    try {
      if (command.json && !command.quiet) print(epoch_json(epoch));
      flush_output();
    } catch (...) {
      failure = std::current_exception();
    }
    return failure == nullptr && noted_signal() == 0;
  };
  try {
    run.fit = data.validation ? run.model.fit(data.train, *data.validation, observer)
                              : run.model.fit(data.train, observer);
  } catch (const ModelFileError&) {  // of a checkpoint: what was learnt is not lost
    return std::current_exception();
  }
  run.signal = signal_of_any();
  return failure;
}

void evaluate_run(TrainingRun& run, const TrainingData& data) {
  const auto evaluated = [&](const Dataset& part) {
    return run.model.evaluate(part, run.fit.threads);
  };
  run.train = evaluated(data.train);
  if (data.validation) run.validation = evaluated(*data.validation);
  if (data.test) run.test = evaluated(*data.test);
  const bool has_numbers = run.model.parameters().network().head.starts_with("regress");
  if (run.command.report_file.empty() || !has_numbers) return;
  const Dataset& main = data.test ? *data.test : data.validation ? *data.validation : data.train;
  for (std::size_t i = 0; i < main.size(); ++i) {
    const std::span<const float> targets = main.targets(i);
    run.numbers.targets.insert(run.numbers.targets.end(), targets.begin(), targets.end());
  }
  run.numbers.predicted = run.model.predict_proba(main, run.fit.threads);
}

// Why the training ended before its time; "" if it did not.
std::string early_end(const TrainingRun& run) {
  const std::string epoch = format(" in epoch %zu", run.fit.history.size());
  if (run.fit.status == FitStatus::diverged) {
    const std::size_t failed = run.fit.history.back().failed_minibatch;
    return "training diverged" + epoch + (failed > 0 ? format(", minibatch %zu", failed) : "") +
           ": a loss, a gradient or a weight is no longer a finite number; lower --learning-rate "
           "or "
           "set --clip-norm";
  }
  if (run.signal == 0) return "";
  return std::string("stopped by ") + signal_name(run.signal) + epoch;
}

// Saves what was learnt, before anything is printed that could fail.
void save(const TrainingRun& run) {
  const std::string& path = run.command.model_file;
  const std::string end = early_end(run);
  if (run.fit.skipped() > 0) {
    say(format("%zu minibatches had no finite loss and gradient and were left out",
               run.fit.skipped()));
  }
  if (run.fit.status == FitStatus::diverged && run.fit.kept_epoch == 0) {
    throw std::runtime_error(end + " (nothing was learnt, no model was written)");
  }
  if (!path.empty() && speaks()) run.model.save(path);
  if (end.empty()) return;
  const bool is_before_failure =
      run.fit.status == FitStatus::diverged && run.fit.kept_epoch == run.fit.history.size();
  const std::string kept = is_before_failure ? "the model before that minibatch"
                                             : format("the model of epoch %zu", run.fit.kept_epoch);
  const std::string model =
      path.empty() ? "no model was asked for" : kept + " is saved in '" + path + "'";
  say(end + "; " + model);
}

std::string result_text(const TrainingRun& run) {
  if (run.command.json) return summary_json(run);
  return (run.command.quiet ? "" : curve_text(run.fit.history) + "\n") + summary_text(run);
}

int list_datasets() {
  for (const BuiltinInfo& info : builtin_datasets()) {
    print(pad(info.name, 22) + "  " + std::string(info.summary) + "\n");
  }
  return 0;
}

// Whether a resumed training writes to the file that it came from, or to the one behind that.
bool goes_on_in_place(const TrainCommand& command) {
  return command.resume_file == command.checkpoint_file ||
         command.resume_file == previous_checkpoint(command);
}

// An output must replace neither data nor the other output.
void require_distinct_files(const TrainCommand& command) {
  const std::vector<std::pair<std::string, std::string>> files = {
      {"DATA", command.source.file},
      {"--test", command.test_file},
      {"--init-from", command.first_model_file},
      {"--resume", goes_on_in_place(command) ? "" : command.resume_file},
      {"--model", command.model_file},
      {"--report", command.report_file},
      {"--checkpoint", command.checkpoint_file},
      {"the checkpoint before it", previous_checkpoint(command)}};
  constexpr std::size_t kFirstOutput = 4;
  for (std::size_t output = kFirstOutput; output < files.size(); ++output) {
    for (std::size_t other = 0; other < output; ++other) {
      // A checkpoint and the one before are one file where a kill has cut short what replaces them.
      const bool are_checkpoints = output + 1 == files.size() && other + 1 == output;
      if (are_checkpoints || !is_same_file(files[output].second, files[other].second)) continue;
      throw UsageError(files[output].first + " '" + files[output].second +
                       "' is the same file as " + files[other].first +
                       ", which writing it would replace");
    }
  }
}

// Nor what was read beside a file of data.
void require_distinct_files(const TrainCommand& command,
                            const std::vector<std::filesystem::path>& read) {
  const std::pair<const char*, std::string> outputs[] = {
      {"--model", command.model_file},
      {"--report", command.report_file},
      {"--checkpoint", command.checkpoint_file},
      {"the checkpoint before it", previous_checkpoint(command)}};
  for (const auto& [output, file] : outputs) {
    for (const std::filesystem::path& other : read) {
      if (!is_same_file(file, other)) continue;
      throw UsageError(std::string(output) + " '" + file + "' is a part of the data, which " +
                       "writing it would replace");
    }
  }
}

// Does work on the report, if one was asked for.
template <class Work>
void on_report(const TrainCommand& command, const Work& work) {
  if (command.report_file.empty() || !speaks()) return;
  about<std::runtime_error>("cannot write the report '" + command.report_file + "'", work);
}

// A first Ctrl-C kills nothing from the first minibatch on.
void train(TrainingRun& run, const TrainingData& data) {
  std::optional<NotedInterrupts> noted;
  const std::exception_ptr failure = fit_and_show(run, data, noted);
  if (!noted) noted.emplace();
  if (failure != nullptr && run.fit.history.empty() && !run.command.model_file.empty()) {
    run.model.save(run.command.model_file);
  } else {
    save(run);
  }
  if (failure != nullptr) std::rethrow_exception(failure);
  evaluate_run(run, data);
  on_report(run.command,
            [&] { write_file_atomically(run.command.report_file, report_page(run, flag_of)); });
}

void share_among_ranks(TrainCommand& command) {
  require_no_standard_input(command.source.file);
  require_no_standard_input(command.test_file);
  command.quiet = command.quiet || !speaks();
}

}  // namespace

int run_train(const TrainCommand& asked) {
  if (asked.list_datasets) return list_datasets();
  TrainCommand command = asked;
  select_backend(command.backend);
  if (command.checkpoint_file.empty()) {
    command.checkpoint_file = command.resume_file;
    // Of the checkpoint before the last, the last is written again.
    constexpr std::string_view kPrevious = ".previous";
    std::string& file = command.checkpoint_file;
    if (file.ends_with(kPrevious)) file.resize(file.size() - kPrevious.size());
  }
  if (process_ranks() != nullptr) share_among_ranks(command);
  require_distinct_files(command);
  std::optional<Model> given = on_all_ranks([&] { return given_model(command); });
  if (given) command.options = options_for(command, *given);
  const TrainingData data = on_all_ranks([&] {
    on_report(command, [&] { require_replaceable(command.report_file); });
    TrainingData read = load_training_data(command);
    require_distinct_files(command, read.files);
    return read;
  });
  TrainingRun run{
      .command = command,
      .backend = std::string(active_backend().name),
      .model = on_all_ranks([&] { return make_model(command, std::move(given), data); }),
      .data = command.json ? data_json(data.train, data.notes) : ""};
  run.model.set_ranks(process_ranks());
  run.ranks = process_ranks() == nullptr ? 1 : process_ranks()->size();
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is an error of the output
  train(run, data);
  print(result_text(run));
  if (run.fit.status == FitStatus::diverged) return 1;
  return run.signal == 0 ? 0 : 128 + run.signal;  // as shells report a signal
}

}  // namespace lockstep::command
