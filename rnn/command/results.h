#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "commands.h"
#include "inputs.h"
#include "lockstep/rnn/gradient_check.h"
#include "lockstep/rnn/model.h"

namespace lockstep::command {

/// Numbers of a data set and what a model predicts for them; NaN where one is not known.
struct Numbers {
  std::vector<float> targets;    ///< [samples][outputs]
  std::vector<float> predicted;  ///< [samples][outputs]
};

/// A training that has ended: what every form of output is about.
struct TrainingRun {
  TrainCommand command;
  std::string backend;
  Model model;
  FitResult fit{};
  int ranks = 1;
  int signal = 0;      ///< that interrupted it, or 0
  Evaluation train{};  ///< by the kept weights, as the other two
  std::optional<Evaluation> validation{};
  std::optional<Evaluation> test{};
  std::string data{};  ///< what was trained on, as a JSON object, for summary_json
  Numbers numbers{};   ///< of the set that counts, for the report of a model of numbers
};

/// Up to so many classes all of them and the whole confusion matrix are shown; of more, so many
/// that are recognised worst and so many of the most frequent confusions.
inline constexpr std::size_t kMostShown = 40;
/// Classes or labels in the order in which they are shown: all, or of too many those that have an
/// F1 with the smallest first, of equal ones the largest class.
[[nodiscard]] std::vector<std::size_t> shown_classes(const Evaluation& evaluation);
/// The sequences of class c by predicted class.
[[nodiscard]] std::vector<std::size_t> confusion_row(const Evaluation& evaluation, std::size_t c);
/// The most frequent first.
[[nodiscard]] std::vector<ConfusionCount> frequent_confusions(const Evaluation& evaluation);
/// Whether the network chooses one class of many, so that classes can be confused.
[[nodiscard]] bool confuses_classes(const Network& network);
/// "sequences" or "timesteps": what the head of a network has outputs for.
[[nodiscard]] const char* samples_text(const Network& network);
/// "classes", "labels" or "outputs".
[[nodiscard]] const char* outputs_text(const Network& network);

/// What Linux knows about the processor.
struct Processor {
  struct Cache {
    int level = 0;
    std::string type;  ///< "Data", "Instruction" or "Unified"
    std::size_t kibibytes = 0;
    std::string shared_with;  ///< the CPUs that share it with CPU 0, such as "0-7"
  };
  std::string name;
  std::vector<Cache> caches;  ///< of CPU 0, nearest first
};

/// What a gradient check has found.
struct GradientCheck {
  std::vector<GradientError> errors;  ///< of each tensor
  double fast_bound;                  ///< of fast_error

  /// Whether both errors are below their bounds.
  [[nodiscard]] bool is_sound(const GradientError& error) const {
    return error.analytic_error < kAnalyticErrorBound && error.fast_error < fast_bound;
  }
};

/// The layers of a network: "gru, 64 units", "2 layers of lstm, 128 units each way".
[[nodiscard]] std::string layers_text(const Network& network);
/// Accuracy, loss and number of sequences.
[[nodiscard]] std::string evaluation_line(const Evaluation& evaluation, const Network& network);
/// The same with a table of classes or labels, and of the confusions of classes.
[[nodiscard]] std::string evaluation_text(const Evaluation& evaluation, const Model& model);
/// The loss over the epochs as a table of a few rows with bars.
[[nodiscard]] std::string curve_text(const std::vector<EpochResult>& history);
[[nodiscard]] std::string summary_text(const TrainingRun& run);

/// Each is a JSON object on a line of its own, with null for NaN and with U+FFFD in place of what
/// is not UTF-8 (class names come from files).
///@{
[[nodiscard]] std::string data_json(const Dataset& data, const std::vector<std::string>& notes);
[[nodiscard]] std::string epoch_json(const EpochResult& epoch);
[[nodiscard]] std::string summary_json(const TrainingRun& run);
[[nodiscard]] std::string evaluation_json(const Evaluation& evaluation, const Model& model,
                                          const LoadedData& loaded);
[[nodiscard]] std::string system_json(const Processor& processor);
[[nodiscard]] std::string model_json(const Model& model);
[[nodiscard]] std::string gradcheck_json(const GradientCheck& check);
///@}

/// Text as a JSON string, in quotes.
[[nodiscard]] std::string json_string(const std::string& text);

/// What an option is called where a report is read; empty: it is not shown.
using OptionName = std::function<std::string(std::string_view name)>;

/// One HTML page that needs nothing else: curves of loss and accuracy, the confusion matrix, the
/// settings and a table of all epochs.
[[nodiscard]] std::string report_page(const TrainingRun& run, const OptionName& option_name);

}  // namespace lockstep::command
