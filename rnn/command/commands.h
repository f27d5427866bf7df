#pragma once

#include <cstddef>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "lockstep/rnn/data_file.h"
#include "lockstep/rnn/options.h"

namespace lockstep::command {

/// A command line that asks for something impossible. what() is one sentence.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Where sequences come from: a file, or a built-in data set by name.
struct DataSource {
  std::string file;
  std::string dataset;
  ReadOptions reading{};  ///< of files

  [[nodiscard]] bool empty() const { return file.empty() && dataset.empty(); }
  /// How messages name it.
  [[nodiscard]] std::string name() const { return "'" + (dataset.empty() ? file : dataset) + "'"; }
};

/// What a verb was asked to do, as far as several verbs share it.
struct Command {
  std::string model_file;
  DataSource source;
  Options options;
  std::string backend;
  bool json = false;
  double rank_timeout = 300;  ///< seconds; of MPI jobs
};

/// What all that trains was asked to do.
struct TrainingCommand : Command {
  std::string test_file;
  std::vector<std::string> given_options;  ///< names of those that were given
  bool quiet = false;
};

struct TrainCommand : TrainingCommand {
  std::string report_file;
  std::string checkpoint_file;
  std::size_t checkpoint_epochs = 0;
  double checkpoint_seconds = 60;
  std::string resume_file;       ///< the checkpoint that the training resumes
  std::string first_model_file;  ///< whose weights it begins with
  bool list_datasets = false;
};

struct SweepCommand : TrainingCommand {
  std::string grid_file;
  std::string results_file;
  std::string seeds;      ///< "3" or "1,2,5"; "": Options::seed alone
  std::size_t folds = 0;  ///< 0: no cross-validation
  std::size_t jobs = 0;   ///< at a time; 0: as many as the threads of the machine are for
};

/// With `ranks` what a training over that number of ranks would take, of a network of these sizes.
struct InfoCommand : Command {
  std::size_t ranks = 0;
  double latency = 15e-6;    ///< seconds, of TCP
  double bandwidth = 1.1e9;  ///< bytes per second, of 10 Gb/s
  bool has_link = false;     ///< whether one of these was given; otherwise ranks measure them
  std::size_t features = 8;
  std::size_t classes = 2;
  std::size_t length = 100;
};

/// Sizes of the random problem that is checked where there is no source, and of the check.
struct GradcheckCommand : Command {
  std::size_t features = 3;
  std::size_t classes = 4;
  std::size_t sequences = 6;
  std::size_t length = 12;
  std::size_t entries = 50;
  double epsilon = 1e-5;
};

/// Reads the command line. Returns what it asks for, which returns the exit code; for --help and
/// --version that prints a text. Throws UsageError.
[[nodiscard]] std::function<int()> parse_command_line(int argc, char** argv);

/// Each does the work of a verb and returns the exit code. Throws UsageError where the command line
/// is at fault, another exception where the work fails; what() is one sentence.
///@{
int run_train(const TrainCommand& asked);
int run_sweep(const SweepCommand& asked);
int run_evaluate(const Command& command);
int run_predict(const Command& command);
int run_info(const InfoCommand& asked);
int run_gradcheck(const GradcheckCommand& command);
///@}

}  // namespace lockstep::command
