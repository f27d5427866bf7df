#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <exception>
#include <stdexcept>
#include <utility>

#include "inputs.h"
#include "interrupts.h"
#include "lockstep/threads.h"
#include "process.h"
#include "sweep_run.h"
#include "sweep_table.h"
#include "text.h"
#include "training_data.h"

namespace lockstep::command {
namespace {

// Results must replace nothing that is read.
void require_distinct_files(const SweepCommand& command,
                            const std::vector<std::filesystem::path>& read) {
  std::vector<std::filesystem::path> inputs = read;
  inputs.insert(inputs.end(), {command.source.file, command.test_file, command.grid_file});
  for (const std::filesystem::path& input : inputs) {
    if (!is_same_file(command.results_file, input)) continue;
    throw UsageError("--results '" + command.results_file +
                     "' is a file of the data or the grid, which it would be written into");
  }
}

// With values that are missing where a job may know what to do about them.
TrainingData load(const SweepCommand& command, const Plan& plan) {
  SweepCommand reading = command;
  for (const GridPoint& point : plan.points) {
    if (point.options.missing != MissingKind::fail) reading.options.missing = point.options.missing;
  }
  return load_train_and_test(reading);
}

// The head that the data mean by "auto".
std::string head_of(const Options& options, const Dataset& data) {
  if (options.head != "auto") return options.head;
  for (const std::string& head : head_names()) {
    if (targets_of_head(head) == data.target_kind()) return head;
  }
  return "classify";
}

void require_sense(const SweepCommand& command, const Plan& plan, const Dataset& data) {
  const std::string head = head_of(command.options, data);
  require_sense_for(command, head);
  const std::string option = useless_option(plan.grid_options(), head);
  if (option.empty()) return;
  throw UsageError("'" + command.grid_file + "': " + option + ": it has no effect with the head " +
                   head);
}

// Throws what is wrong with the data for all points of the grid.
void require_some_model(const Sweep& sweep, const SweepCommand& command) {
  std::exception_ptr first;
  for (const GridPoint& point : sweep.plan.points) {
    try {
      const Model model =
          about(command.source.name(), [&] { return new_model(sweep.train, point.options); });
      if (sweep.test) about(test_name(command), [&] { model.require_fit(*sweep.test); });
      return;
    } catch (const std::runtime_error&) {
      if (first == nullptr) first = std::current_exception();
    }
  }
  std::rethrow_exception(first);
}

void note_rare_classes(const Sweep& sweep) {
  const Dataset& data = sweep.train;
  if (sweep.plan.folds == 0 || data.target_kind() != TargetKind::label) return;
  for (std::size_t c = 0; c < data.classes(); ++c) {
    const auto count =
        static_cast<std::size_t>(std::ranges::count(data.labels(), static_cast<int>(c)));
    if (count == 0 || count >= sweep.plan.folds) continue;
    say("note: class '" + data.class_names()[c] + "' has " + counted(count, "sequence") +
        ", so some folds have none of it");
  }
}

bool is_given(const SweepCommand& command, const char* option) {
  const auto& given = command.given_options;
  return std::ranges::find(given, option) != given.end();
}

Work work_for(const SweepCommand& command) {
  Work work;
  if (const Ranks* const ranks = process_ranks()) work.share = {ranks->rank(), ranks->size()};
  if (is_given(command, "threads")) work.threads = resolve_threads(command.options.threads);
  work.at_a_time = command.jobs > 0 ? static_cast<int>(command.jobs)
                                    : std::max(1, resolve_threads(0) / work.threads);
  return work;
}

void say_what_is_left(const Sweep& sweep, const Results& done, const Work& work,
                      const std::string& file) {
  const std::size_t all = sweep.plan.jobs.size();
  const std::size_t left = jobs_left(sweep, {}, done).size();
  std::string text = counted(all, "job");
  if (left < all) text += format(", %zu of them in '", all - left) + file + "'";
  if (left > 0) {
    const std::size_t most = std::min(left, static_cast<std::size_t>(work.at_a_time));
    const std::string ranks = work.share.size > 1 ? format("%d ranks, ", work.share.size) : "";
    text += ", " + ranks + format("%zu at a time with ", most) +
            counted(static_cast<std::size_t>(work.threads), "thread") + " each";
  }
  say(text);
}

void run_jobs(const Sweep& sweep, const SweepCommand& command, const Results& done) {
  Work work = work_for(command);
  if (!command.quiet) say_what_is_left(sweep, done, work, command.results_file);
  const std::size_t left = jobs_left(sweep, work.share, done).size();
  std::size_t ended = 0;
  work.is_interrupted = [] { return noted_signal() != 0; };
  work.on_result = [&](const Job&, const JobResult& result) {
    ++ended;
    if (command.quiet) return;
    say(format("%zu/%zu  ", ended, left) + job_text(result) + ": " + outcome_text(result));
  };
  run_share(sweep, command.results_file, work);
}

// Of ranks that would not see each other's results, or run parts of different sweeps.
void require_same_sweep(Ranks& ranks, const Sweep& sweep, const std::string& results) {
  const std::filesystem::path folder = std::filesystem::absolute(results).parent_path();
  struct stat status{};
  const bool is_there = ::stat(folder.c_str(), &status) == 0;
  std::string base;
  for (const OptionInfo& info : options_table()) base += sweep.identity.base.get(info.name) + " ";
  const std::vector<Trait> traits = {{"data set, by its hash,", sweep.identity.data_hash},
                                     {"rounding, by its CPU or backend,", sweep.identity.rounding},
                                     {"measure", sweep.identity.measured_on},
                                     {"number of jobs", std::to_string(sweep.plan.jobs.size())},
                                     {"setting of its options", base},
                                     {"folder of results, by its number in the file system,",
                                      is_there ? std::to_string(status.st_ino) : "none"}};
  require_same(ranks, traits);
}

int end_by_signal(const Sweep& sweep, const Results& results, const std::string& file, int signal) {
  const std::size_t all = sweep.plan.jobs.size();
  const std::size_t left = jobs_left(sweep, {}, results).size();
  const std::string why =
      signal == 0 ? "" : std::string("stopped by ") + signal_name(signal) + "; ";
  say(why + format("%zu of %zu jobs are done and kept in '", all - left, all) + file +
      "', and the same command continues with the others");
  return signal == 0 ? 1 : 128 + signal;  // as shells report a signal
}

// A sweep of which nothing is known in the end has failed.
int print_table(const Sweep& sweep, const SweepCommand& command, const Results& results) {
  const Table table = make_table(sweep, results);
  print(command.json ? table_json(sweep, table, command.results_file)
                     : table_text(sweep, table, command.source.name()));
  if (table.ended_well() > 0) return 0;
  say("no job ended well");
  return 1;
}

Sweep make_sweep(const SweepCommand& command) {
  Plan plan = make_plan(command);
  TrainingData data = load(command, plan);
  require_distinct_files(command, data.files);
  require_sense(command, plan, data.train);
  if (plan.folds > 0) data.test.reset();  // of a built-in set
  Sweep sweep = make_sweep(std::move(plan), std::move(data.train), std::move(data.test));
  require_some_model(sweep, command);
  note_rare_classes(sweep);
  return sweep;
}

}  // namespace

int run_sweep(const SweepCommand& asked) {
  SweepCommand command = asked;
  command.quiet = command.quiet || !speaks();
  require_no_standard_input(command.source.file);
  require_no_standard_input(command.test_file);
  select_backend(command.backend);
  require_distinct_files(command, {});
  const Sweep sweep = on_all_ranks([&] { return make_sweep(command); });
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is an error of the output
  const NotedInterrupts noted;
  const auto gather = [&] {
    return speaks() ? gather_results(command.results_file, sweep.identity) : Results();
  };
  Results results = on_all_ranks(gather);
  if (Ranks* const ranks = process_ranks()) {
    require_same_sweep(*ranks, sweep, command.results_file);
    ranks->set_timeout(0);  // each has jobs of its own
  }
  on_all_ranks([&] {
    run_jobs(sweep, command, results);
    return true;
  });
  results = on_all_ranks(gather);
  const int signal = signal_of_any();
  if (!speaks()) return 0;
  const bool is_done = jobs_left(sweep, {}, results).empty();
  if (!is_done) return end_by_signal(sweep, results, command.results_file, signal);
  return print_table(sweep, command, results);
}

}  // namespace lockstep::command
