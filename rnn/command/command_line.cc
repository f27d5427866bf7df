// The only file that includes CLI11, which takes long to compile.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <limits>
#include <map>
#include <memory>
#include <sstream>
#include <vector>

#include "commands.h"
#include "lockstep/rnn/builtin_data.h"
#include "lockstep/threads.h"
#include "lockstep/version.h"
#include "lookup.h"
#include "process.h"
#include "text.h"

namespace lockstep::command {
namespace {

constexpr const char* kHelp =
    "Examples:\n"
    "  lockstep train --dataset synthetic-control\n"
    "  lockstep train train.ts --test test.ts --model model.safetensors --report report.html\n"
    "  lockstep sweep train.ts --folds 5 --seeds 3 --grid grid.json --results results.jsonl\n"
    "  lockstep evaluate model.safetensors test.ts\n"
    "  lockstep predict model.safetensors new.csv > predictions.csv\n"
    "  lockstep info\n"
    "  lockstep gradcheck\n"
    "  mpirun -n 4 lockstep-mpi train train.npy --y y\n\n"
    "`lockstep VERB --help` explains a verb. `lockstep-mpi`, where MPI is installed, shares "
    "trainings,\n"
    "sweeps, measurements and predictions among processes, at the same results.\n\n"
    "Exit codes: 0 done; 1 failed; 2 bad usage; 130, 143 or 129 a training that SIGINT,\n"
    "SIGTERM or SIGHUP stopped in good order, its model saved if one was asked for, or a sweep,\n"
    "its results kept.\n\n"
    "LOCKSTEP_BACKEND names a backend where --backend does not; OMP_NUM_THREADS is the\n"
    "default number of threads, if there are as many CPUs, in place of the physical cores;\n"
    "LOCKSTEP_THREADING=std takes std::thread in place of OpenMP; LOCKSTEP_CACHES\n"
    "(l2=2M,l3=far or l3=near) plans products for other caches than the CPU's, at the same\n"
    "results; LOCKSTEP_MAX_UNPACKED is how many bytes a compressed file may unpack to (1 MiB,\n"
    "and 64 for each of its bytes above 64 KiB).";

constexpr const char* kTrainHelp =
    "On a terminal, standard error shows progress. The result is the same to the last bit for\n"
    "any number of threads and on all fused backends (lockstep info). Ctrl-C ends the training\n"
    "after the current step, saves the model and exits with 130; a second one kills at once.\n\n"
    "Examples:\n"
    "  lockstep train --dataset synthetic-control\n"
    "  lockstep train train.ts --test test.ts --hidden 100 --model model.safetensors\n"
    "  lockstep train data.csv --validation 0.2 --patience 10 --report report.html\n"
    "  lockstep train data.npz --schedule cosine --learning-rate 0.1 --json";

constexpr const char* kSweepHelp =
    "Trains a network for each combination of the grid's settings with each seed on each fold,\n"
    "several at a time with one thread each, and prints a table of the settings, the best first,\n"
    "with mean and deviation of the accuracy, of numbers of the RMSE, over seeds and folds.\n\n"
    "The grid is a JSON object of options of `lockstep train`, which makes all combinations, or a\n"
    "list of such objects, which makes those of each:\n"
    "  {\"hidden\": [16, 64], \"learning_rate\": [0.002, 0.01], \"bidirectional\": [true, "
    "false]}\n\n"
    "With --folds each fold is held out in turn and measured on; --seed draws them, so that they\n"
    "are the same for all. Otherwise --test, the test part of a built-in set, or the share of\n"
    "--validation is measured on; without any the training set.\n\n"
    "Each job that has ended is a JSON line of FILE, and is not run again: after Ctrl-C or a kill\n"
    "the same command continues, and a larger grid or more seeds add to the file. Jobs that "
    "diverge\n"
    "or fail are results too, without a part in the means; if no job ends well the exit code is\n"
    "1. Weights have the bits of `lockstep train` with the same options, for any --jobs.\n\n"
    "Examples:\n"
    "  lockstep sweep train.ts --test test.ts --seeds 5 --results results.jsonl\n"
    "  lockstep sweep data.csv --folds 5 --grid grid.json --epochs 100 --results results.jsonl\n"
    "  lockstep sweep --dataset adding --pool last --seeds 1,2,5 --results results.jsonl --json";

constexpr const char* kEvaluateHelp =
    "Prints accuracy, loss, precision, recall and F1 of each class, and the confusion matrix.\n"
    "Of more than 40 classes the worst 40 are printed and, instead of the matrix, the 40 most\n"
    "frequent confusions; --json has the scores of all classes, and `frequent_confusions` in\n"
    "place of `confusion`. Labels are matched to the model's classes by name. A built-in set\n"
    "means its test part.\n\n"
    "Examples:\n"
    "  lockstep evaluate model.safetensors test.ts\n"
    "  lockstep evaluate model.safetensors --dataset synthetic-control --json";

constexpr const char* kPredictHelp =
    "Prints the class and the probability of every class for each sequence, as CSV with a header\n"
    "or as JSON lines. Labels in the data are ignored and may be missing ('?' or empty); in .tsv\n"
    "and .txt files the first field is always the label. A built-in set means its test part.\n\n"
    "Examples:\n"
    "  lockstep predict model.safetensors new.csv > predictions.csv\n"
    "  lockstep predict model.safetensors new.npz --json";

constexpr const char* kInfoHelp =
    "Without MODEL: the processor, its caches, the default number of threads and why, and the\n"
    "backends. With MODEL: its sizes, classes, normalization and the hash of its weights.\n\n"
    "With --ranks: how long a step of a training over several ranks (MPI processes) would take.\n"
    "The work of a rank is timed on this machine, which takes about a second, on random sequences\n"
    "and a network of the sizes given; what ranks exchange follows from --latency and "
    "--bandwidth,\n"
    "which lockstep-mpi measures between its ranks where neither is given.\n"
    "A sentence says up to how many ranks each doubling makes the step 1.2 times as fast, and "
    "what\n"
    "ends that: that a minibatch has no more leaves, the bandwidth or the latency.\n\n"
    "Examples:\n"
    "  lockstep info\n"
    "  LOCKSTEP_BACKEND=reference lockstep info --json\n"
    "  lockstep info --ranks 16 --hidden 256 --features 64 --length 100 --batch-size 64\n"
    "  lockstep info --ranks 16 --hidden 512 --bandwidth 11e9 --latency 2e-6\n"
    "  lockstep info model.safetensors";

constexpr const char* kGradcheckHelp =
    "Compares plain backpropagation in double precision with finite differences (analytic error)\n"
    "and the fast path with plain backpropagation (fast error), relative to each tensor's largest\n"
    "gradient. Exits with 1 if an error is beyond its bound.\n\n"
    "Examples:\n"
    "  lockstep gradcheck\n"
    "  lockstep gradcheck --hidden 100 --features 16 --length 200 --backend reference\n"
    "  lockstep gradcheck train.ts --sequences 10";

// A verb's part of the command line, and what runs once that is parsed.
struct Verb {
  std::string name;
  CLI::App* app = nullptr;
  std::function<int()> run;
};

std::string builtin_names() { return listed(builtin_datasets(), &BuiltinInfo::name); }

// The positional DATA and the option --dataset, of which one must be given.
void add_data_source(CLI::App& app, DataSource& source) {
  const auto check = [](const std::string& name) {
    const auto& known = builtin_datasets();
    if (std::ranges::find(known, name, &BuiltinInfo::name) != known.end()) return std::string();
    return "unknown '" + name + "', expected one of " + builtin_names();
  };
  auto* file =
      app.add_option("DATA", source.file,
                     "Data file: .ts, .tsv, .txt, .csv, .arff, .npz or .npy, texts also with .gz "
                     "behind it; - is standard input");
  app.add_option(
      "--format", source.reading.format,
      "Format of DATA, where its name does not end with it (ts, tsv, txt, csv, arff, npz, npy)");
  app.add_option("--x", source.reading.x, "Array of values in a .npz")->type_name("NAME");
  app.add_option("--y", source.reading.y,
                 "Array of targets in a .npz, or of a .npy the name of that beside it")
      ->type_name("NAME");
  const std::map<std::string, Axes> axes{{"NTC", Axes::NTC}, {"NCT", Axes::NCT}};
  app.add_option("--axes", source.reading.axes,
                 "Order of sequences, timesteps and channels in a .npz or .npy")
      ->transform(CLI::CheckedTransformer(axes))
      ->type_name("WORD")
      ->default_str("NTC");
  auto* dataset = app.add_option("--dataset", source.dataset, "Built-in data set instead of DATA")
                      ->check(CLI::Validator(check, "{" + builtin_names() + "}"))
                      ->excludes(file);
  for (const char* flag : {"--format", "--x", "--y", "--axes"}) dataset->excludes(flag);
}

void require_data_source(const CLI::App& verb, const DataSource& source) {
  if (!source.empty()) return;
  throw UsageError(verb.get_name() + ": give a data file or --dataset NAME with one of " +
                   builtin_names());
}

void add_backend_option(CLI::App& app, std::string& backend) {
  app.add_option("--backend", backend, "Force a backend; `lockstep info` lists them");
}

const char* type_name(OptionKind kind) {
  return kind == OptionKind::choice   ? "WORD"
         : kind == OptionKind::text   ? "TEXT"
         : kind == OptionKind::number ? "NUMBER"
                                      : "COUNT";
}

std::string help_of(const OptionInfo& info) {
  const std::string needs = info.needs.empty() ? "" : "; with " + flag_of(info.needs);
  return info.help + " (" + info.expected + needs + ")";
}

// Adds the flag that sets the option `name` of `options`, whose value there is the default.
void add_option(CLI::App& app, Options& options, std::string_view name) {
  const OptionInfo& info = *std::ranges::find(options_table(), name, &OptionInfo::name);
  const std::string flag = flag_of(info.name);
  const auto set = [&options, &info, flag](const std::string& text) {
    try {
      options.set(info.name, text);
    } catch (const std::invalid_argument& error) {  // "NAME: expected ..."
      throw UsageError(flag + (error.what() + info.name.size()));
    }
  };
  CLI::Option* option = nullptr;
  if (info.kind == OptionKind::flag) {
    const auto set_flag = [set](std::int64_t value) { set(value > 0 ? "true" : "false"); };
    option = app.add_flag_function(flag + ",!--no-" + flag.substr(2), set_flag, help_of(info));
  } else {
    option = app.add_option_function<std::string>(flag, set, help_of(info))
                 ->type_name(type_name(info.kind))
                 ->default_str(options.get(info.name));
  }
  option->group(info.group);
}

// Adds a flag for a number from `low` to `high`. It is read as those of Options are: CLI11 would
// take leading zeros for the sign of octal digits.
template <class Number>
void add_number(CLI::App& app, const std::string& flag, Number& value, Number low, Number high,
                const std::string& expected, const char* help) {
  const auto set = [=, &value](const std::string& text) {
    Number number = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc{} || stop != end || !(number >= low && number <= high)) {
      throw UsageError(flag + ": expected " + expected + ", found '" + text + "'");
    }
    value = number;
  };
  app.add_option_function<std::string>(flag, set, help)
      ->type_name(std::is_integral_v<Number> ? "UINT" : "FLOAT")
      ->default_str(format("%g", static_cast<double>(value)));
}

void add_size(CLI::App& app, const char* flag, std::size_t& size, std::size_t least,
              const char* help) {
  constexpr std::size_t kMost = 65536;
  add_number(app, flag, size, least, kMost, format("a whole number from %zu to %zu", least, kMost),
             help);
}

// Options that do not go together, and those that were given in vain.
void require_sense(const CLI::App& app, const Options& options) {
  try {
    validate(options);
  } catch (const InvalidArgument& error) {
    throw UsageError(std::string("--") + error.what());
  }
  for (const OptionInfo& info : options_table()) {
    const std::string flag = flag_of(info.name);
    if (app.get_option_no_throw(flag) == nullptr || app.count(flag) == 0 || options.uses(info.name))
      continue;
    throw UsageError(flag + ": it has no effect without " + flag_of(info.needs));
  }
}

// "10": epochs, "30s": seconds.
void set_checkpoint_times(TrainCommand& c, const std::string& text) {
  const bool is_time = text.ends_with('s');
  const char* const end = text.data() + text.size() - (is_time ? 1 : 0);
  c.checkpoint_epochs = 0;
  c.checkpoint_seconds = 0;
  const auto [stop, error] = is_time ? std::from_chars(text.data(), end, c.checkpoint_seconds)
                                     : std::from_chars(text.data(), end, c.checkpoint_epochs);
  const bool is_positive = c.checkpoint_epochs > 0 || c.checkpoint_seconds > 0;
  if (error == std::errc{} && stop == end && is_positive) return;
  throw UsageError(
      "--checkpoint-every: expected a number of epochs such as 10, or of seconds such "
      "as 30s, found '" +
      text + "'");
}

// An empty variable of a script would otherwise lose the result.
std::string is_file_name(const std::string& text) {
  return text.empty() ? "expected the name of a file, found ''" : "";
}

std::vector<std::string> given_options(const CLI::App& app) {
  std::vector<std::string> names;
  for (const OptionInfo& info : options_table()) {
    if (app.count(flag_of(info.name)) > 0) names.push_back(info.name);
  }
  return names;
}

void add_checkpoint_options(CLI::App& app, TrainCommand& c) {
  CLI::Option* const resume =
      app.add_option("--resume", c.resume_file, "Go on with the training of this checkpoint")
          ->check(is_file_name);
  CLI::Option* const checkpoint = app.add_option(
      "--checkpoint", c.checkpoint_file,
      "Write the training here, so that it can go on; with --resume by default its file");
  checkpoint->check(is_file_name);
  app.add_option_function<std::string>(
         "--checkpoint-every", [&c](const std::string& text) { set_checkpoint_times(c, text); },
         "How often: every N epochs, or Ns: every N seconds")
      ->type_name("N|Ns")
      ->default_str("60s");
  app.add_option("--init-from", c.first_model_file, "Begin with the weights of this model")
      ->check(is_file_name)
      ->excludes(resume);
  app.parse_complete_callback([&app, &c, resume, checkpoint] {
    c.given_options = given_options(app);
    if (app.count("--checkpoint-every") > 0 && resume->empty() && checkpoint->empty()) {
      throw UsageError("--checkpoint-every: it has no effect without --checkpoint");
    }
    for (const char* flag : {"--init", "--sigma"}) {
      if (app.count(flag) > 0 && !c.first_model_file.empty()) {
        throw UsageError(std::string(flag) + ": it has no effect with --init-from");
      }
    }
    // Otherwise the file has the options that were not given.
    if (resume->empty() && c.first_model_file.empty()) require_sense(app, c.options);
  });
}

void add_data_to_learn(CLI::App& app, TrainingCommand& c) {
  add_data_source(app, c.source);
  app.add_option("--test", c.test_file, "Data file to test on; its labels are matched by name")
      ->check(is_file_name)
      ->excludes("--dataset");
}

void add_train_options(CLI::App& app, TrainCommand& c) {
  add_data_to_learn(app, c);
  app.add_flag("--list-datasets", c.list_datasets, "List the built-in data sets and exit");
  add_backend_option(app, c.backend);
  app.add_option("--model", c.model_file, "Write the trained model here (safetensors)")
      ->check(is_file_name);
  app.add_option("--report", c.report_file,
                 "Write a page with curves, confusion matrix or errors here")
      ->check(is_file_name);
  app.add_flag("--quiet", c.quiet, "No progress, no curve; with --json only the final object");
  for (const OptionInfo& info : options_table()) add_option(app, c.options, info.name);
  add_checkpoint_options(app, c);
  app.final_callback([&] {
    if (!c.list_datasets) require_data_source(app, c.source);
  });
}

void add_sweep_options(CLI::App& app, SweepCommand& c) {
  add_data_to_learn(app, c);
  app.add_option("--grid", c.grid_file, "JSON file of options and the values to try")
      ->check(is_file_name);
  app.add_option("--seeds", c.seeds, "N: seeds from --seed on; or seeds with commas between them")
      ->type_name("N|N,N,...")
      ->check([](const std::string& text) {
        return text.empty() ? "expected a number of seeds, found ''" : "";
      });
  constexpr std::size_t kMost = 65536;
  add_number(app, "--folds", c.folds, std::size_t{2}, kMost,
             format("a whole number from 2 to %zu", kMost),
             "Cross-validation with this number of folds");
  app.get_option("--folds")->excludes("--test");
  app.add_option("--results", c.results_file, "JSON lines of the jobs that have ended")
      ->check(is_file_name)
      ->required();
  constexpr std::size_t kMostAtATime = kMaxThreads;
  add_number(app, "--jobs", c.jobs, std::size_t{1}, kMostAtATime,
             format("a whole number from 1 to %zu", kMostAtATime),
             "Jobs at a time; by default the threads of the machine by --threads");
  add_backend_option(app, c.backend);
  app.add_flag("--quiet", c.quiet, "No line for each job");
  for (const OptionInfo& info : options_table()) add_option(app, c.options, info.name);
  app.final_callback([&] {
    c.given_options = given_options(app);
    require_data_source(app, c.source);
  });
}

void add_model_options(CLI::App& app, Command& c) {
  app.add_option("MODEL", c.model_file, "Model file (safetensors)")->required();
  add_data_source(app, c.source);
  add_option(app, c.options, "threads");
  add_backend_option(app, c.backend);
  app.final_callback([&] { require_data_source(app, c.source); });
}

void add_info_options(CLI::App& app, InfoCommand& c) {
  const CLI::Option* const model =
      app.add_option("MODEL", c.model_file, "Model file (safetensors)");
  constexpr std::size_t kMostRanks = 4096;
  add_number(app, "--ranks", c.ranks, std::size_t{2}, kMostRanks,
             format("a whole number from 2 to %zu", kMostRanks),
             "Say what a training over up to this number of ranks would take");
  const CLI::Option* const ranks = app.get_option("--ranks")->default_str("");
  add_number(app, "--latency", c.latency, 0.0, 1e3, "a number of seconds from 0 to 1000",
             "Seconds that a message between ranks takes at least");
  add_number(app, "--bandwidth", c.bandwidth, 1.0, 1e15,
             "a number of bytes per second from 1 to 1e15",
             "Bytes per second that a rank sends, and receives meanwhile");
  add_size(app, "--features", c.features, 1, "Channels of the sequences");
  add_size(app, "--classes", c.classes, 2, "Classes");
  add_size(app, "--length", c.length, 1, "Timesteps of each sequence");
  for (const char* name : {"cell", "hidden", "layers", "bidirectional", "pool", "batch_size",
                           "leaf_rows", "optimizer", "threads"}) {
    add_option(app, c.options, name);
  }
  app.parse_complete_callback([&app, &c, model, ranks] {
    c.has_link = app.count("--latency") + app.count("--bandwidth") > 0;
    for (const CLI::Option* option : app.get_options()) {
      const std::string flag = option->get_name();
      if (option->count() == 0 || option == model || flag == "--json") continue;
      if (ranks->empty()) throw UsageError(flag + ": it has no effect without --ranks");
      if (!model->empty()) throw UsageError(flag + ": it has no effect with a model");
    }
  });
}

void add_gradcheck_options(CLI::App& app, GradcheckCommand& c) {
  add_data_source(app, c.source);
  add_size(app, "--features", c.features, 1, "Channels of the random problem");
  add_size(app, "--classes", c.classes, 2, "Classes of the random problem");
  add_size(app, "--sequences", c.sequences, 1, "Sequences, of DATA the first ones");
  add_size(app, "--length", c.length, 1, "Longest sequence of the random problem");
  add_size(app, "--entries", c.entries, 1, "Entries of each tensor to take finite differences of");
  c.options.hidden = 17;
  for (const char* name :
       {"cell", "hidden", "layers", "bidirectional", "head", "pool", "loss", "delta",
        "class_weights", "label_smoothing", "truncate", "dropout", "dropout_kind", "seed"}) {
    add_option(app, c.options, name);
  }
  using Limits = std::numeric_limits<double>;
  add_number(app, "--epsilon", c.epsilon, Limits::min(), Limits::max(), "a number above 0",
             "Step of the finite differences");
  add_backend_option(app, c.backend);
  app.parse_complete_callback([&] { require_sense(app, c.options); });
}

template <class VerbCommand>
Verb add_verb(CLI::App& parent, const char* name, const char* summary, const char* json,
              const char* help, void (*add_options)(CLI::App&, VerbCommand&),
              int (*run)(const VerbCommand&)) {
  const auto command = std::make_shared<VerbCommand>();
  CLI::App* app = parent.add_subcommand(name, summary);
  add_options(*app, *command);
  app->add_flag("--json", command->json, json);
  if (is_of_mpi()) {
    add_number(*app, "--rank-timeout", command->rank_timeout, 0.0, 1e9,
               "a number of seconds of 0 or more",
               "Seconds to wait for another rank before the job ends; 0: for ever");
  }
  app->footer(help);
  return {name, app, [=] {
            if (Ranks* const ranks = process_ranks()) ranks->set_timeout(command->rank_timeout);
            return run(*command);
          }};
}

std::vector<Verb> add_verbs(CLI::App& app) {
  return {
      add_verb(app, "train", "Train a model", "One JSON object per epoch and a final one",
               kTrainHelp, add_train_options, run_train),
      add_verb(app, "sweep", "Train with many settings, seeds and folds",
               "One JSON object instead of a table", kSweepHelp, add_sweep_options, run_sweep),
      add_verb(app, "evaluate", "Measure a model on labelled data",
               "One JSON object instead of tables", kEvaluateHelp, add_model_options, run_evaluate),
      add_verb(app, "predict", "Classify sequences with a model",
               "One JSON object per sequence instead of CSV", kPredictHelp, add_model_options,
               run_predict),
      add_verb(app, "info", "Show this machine and its backends, or a model",
               "One JSON object instead of text", kInfoHelp, add_info_options, run_info),
      add_verb(app, "gradcheck", "Check the gradients of the fast path",
               "One JSON object instead of a table", kGradcheckHelp, add_gradcheck_options,
               run_gradcheck)};
}

// CLI11 would say of an unknown verb only that a verb is missing.
void require_verb(const std::string& word, const std::vector<Verb>& verbs) {
  if (word.starts_with('-') || std::ranges::find(verbs, word, &Verb::name) != verbs.end()) return;
  throw UsageError((word.empty() ? "no verb" : "unknown verb '" + word + "'") +
                   ", expected one of " + listed(verbs, &Verb::name));
}

// Requests for help and version arrive as exceptions too.
std::function<int()> end_of_parsing(const CLI::App& app, const CLI::ParseError& error) {
  if (error.get_exit_code() != 0) throw UsageError(error.what());
  std::ostringstream text;
  app.exit(error, text, text);
  return [help = text.str()] {
    print(help);
    return 0;
  };
}

}  // namespace

std::function<int()> parse_command_line(int argc, char** argv) {
  CLI::App app{"Trains recurrent networks on sequences, fast, and the same to the last bit."};
  app.name("lockstep");
  app.set_version_flag("--version", "lockstep " LOCKSTEP_VERSION);
  app.footer(kHelp);
  app.require_subcommand(1);
  const std::vector<Verb> verbs = add_verbs(app);
  require_verb(argc > 1 ? argv[1] : "", verbs);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return end_of_parsing(app, error);
  }
  return std::ranges::find_if(verbs, [](const Verb& verb) { return verb.app->parsed(); })->run;
}

}  // namespace lockstep::command
