#include "train_summary.h"

#include <algorithm>

#include "text.h"

namespace lockstep::command {
namespace {

using nlohmann::ordered_json;

ordered_json value_of(const std::optional<Evaluation>& evaluation, double Evaluation::* value) {
  return evaluation ? ordered_json(*evaluation.*value) : ordered_json(nullptr);
}

std::string evaluation_line(const char* set, const Evaluation& e) {
  return format("%-10s accuracy  %.4f   loss %.4f   (%zu sequences)\n", set, e.accuracy, e.loss,
                e.samples);
}

std::string curve_row(const EpochResult& epoch, double largest_loss) {
  constexpr double kBarWidth = 40;
  const double share = largest_loss > 0 ? epoch.loss / largest_loss : 0;
  const auto length = static_cast<std::size_t>(share * kBarWidth + 0.5);
  const std::string loss =
      epoch.loss < 1000 ? format("%8.4f", epoch.loss) : format("%8.2e", epoch.loss);
  return format("%6zu  ", epoch.epoch) + loss + format("    %6.4f  ", epoch.accuracy) +
         std::string(length, '#') + "\n";
}

}  // namespace

ordered_json epoch_json(const EpochResult& epoch) {
  // A NaN, such as a validation loss without a validation set, becomes null.
  return {{"epoch", epoch.epoch},
          {"loss", epoch.loss},
          {"accuracy", epoch.accuracy},
          {"validation_loss", epoch.validation_loss},
          {"validation_accuracy", epoch.validation_accuracy},
          {"learning_rate", epoch.learning_rate},
          {"seconds", epoch.seconds},
          {"timesteps_per_second", static_cast<double>(epoch.timesteps) / epoch.seconds}};
}

ordered_json summary_json(const TrainingRun& run) {
  return {{"test_accuracy", value_of(run.test, &Evaluation::accuracy)},
          {"test_loss", value_of(run.test, &Evaluation::loss)},
          {"train_accuracy", run.train.accuracy},
          {"train_loss", run.train.loss},
          {"validation_accuracy", value_of(run.validation, &Evaluation::accuracy)},
          {"validation_loss", value_of(run.validation, &Evaluation::loss)},
          {"epochs", run.fit.history.size()},
          {"kept_epoch", run.fit.kept_epoch},
          {"interrupted", run.signal != 0},
          {"diverged", run.fit.status == FitStatus::diverged},
          {"seconds", run.fit.seconds()},
          {"timesteps_per_second", run.fit.timesteps_per_second()},
          {"threads", run.fit.threads},
          {"backend", run.backend},
          {"seed", run.command.options.seed},
          {"weights_hash", hash_text(run.model.weights_hash())}};
}

std::string curve_text(const std::vector<EpochResult>& history) {
  constexpr std::size_t kRows = 12;
  double largest_loss = 0;
  for (const EpochResult& epoch : history) largest_loss = std::max(largest_loss, epoch.loss);
  std::string text = " epoch      loss  accuracy\n";
  const std::size_t rows = std::min(kRows, history.size());
  for (std::size_t row = 0; row < rows; ++row) {
    // From the first epoch to the last.
    const std::size_t i = rows == 1 ? 0 : row * (history.size() - 1) / (rows - 1);
    text += curve_row(history[i], largest_loss);
  }
  return text;
}

std::string summary_text(const TrainingRun& run) {
  std::string text;
  if (run.test) text += evaluation_line("test", *run.test);
  if (run.validation) text += evaluation_line("validation", *run.validation);
  text += evaluation_line("training", run.train);
  text += "trained    " + counted(run.fit.history.size(), "epoch", "epochs") +
          format(" in %.2f s, ", run.fit.seconds()) + with_unit(run.fit.timesteps_per_second()) +
          " timesteps/s, " +
          counted(static_cast<std::size_t>(run.fit.threads), "thread", "threads") + ", backend " +
          run.backend + "\n";
  if (run.fit.kept_epoch != run.fit.history.size()) {
    text += format("kept       the weights of epoch %zu\n", run.fit.kept_epoch);
  }
  text += "weights    " + hash_text(run.model.weights_hash()) + "\n";
  if (!run.command.model_file.empty()) text += "model      " + run.command.model_file + "\n";
  if (!run.command.report_file.empty()) text += "report     " + run.command.report_file + "\n";
  return text;
}

}  // namespace lockstep::command
