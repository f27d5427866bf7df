#include "results.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <tuple>

#include "text.h"

namespace lockstep::command {
namespace {

std::string curve_row(const EpochResult& epoch, double largest_loss) {
  constexpr double kBarWidth = 40;
  const bool has_share = largest_loss > 0 && std::isfinite(epoch.loss);
  const double share = has_share ? epoch.loss / largest_loss : 0;
  const auto length = static_cast<std::size_t>(std::lround(share * kBarWidth));
  const std::string loss = format(epoch.loss < 1000 ? "%8.4f" : "%8.2e", epoch.loss);
  const std::string accuracy =
      std::isnan(epoch.accuracy) ? "" : "    " + pad(number_text(epoch.accuracy), 6);
  return format("%6zu  ", epoch.epoch) + loss + accuracy + "  " + std::string(length, '#') + "\n";
}

}  // namespace

std::vector<std::size_t> shown_classes(const Evaluation& e) {
  std::vector<std::size_t> classes(e.support.size());
  std::iota(classes.begin(), classes.end(), std::size_t{0});
  if (classes.size() <= kMostShown) return classes;
  std::erase_if(classes, [&](std::size_t c) { return std::isnan(e.f1[c]); });
  std::ranges::sort(classes, [&](std::size_t a, std::size_t b) {
    return std::tuple(e.f1[a], e.support[b], a) < std::tuple(e.f1[b], e.support[a], b);
  });
  classes.resize(std::min(classes.size(), kMostShown));
  return classes;
}

std::vector<std::size_t> confusion_row(const Evaluation& e, std::size_t c) {
  std::vector<std::size_t> row(e.recall.size());
  for (const auto& [actual, predicted, count] : e.confusion) {
    if (actual == c) row[predicted] = count;
  }
  return row;
}

std::vector<ConfusionCount> frequent_confusions(const Evaluation& e) {
  std::vector<ConfusionCount> all = e.confusion;
  std::erase_if(all, [](const ConfusionCount& c) { return c.actual == c.predicted; });
  std::ranges::sort(all, [](const ConfusionCount& a, const ConfusionCount& b) {
    return std::tuple(b.count, a.actual, a.predicted) < std::tuple(a.count, b.actual, b.predicted);
  });
  all.resize(std::min(all.size(), kMostShown));
  return all;
}

bool confuses_classes(const Network& network) { return is_label(targets_of_head(network.head)); }

const char* samples_text(const Network& network) {
  return is_of_steps(targets_of_head(network.head)) ? "timesteps" : "sequences";
}

const char* outputs_text(const Network& network) {
  if (network.head == "multilabel") return "labels";
  return is_label(targets_of_head(network.head)) ? "classes" : "outputs";
}

std::string layers_text(const Network& network) {
  const std::vector<Layer>& layers = network.layers;
  std::string text;
  for (std::size_t i = 0, same = 1; i < layers.size(); i += same) {
    const Layer& layer = layers[i];
    same = 1;
    while (i + same < layers.size() && layers[i + same] == layer) ++same;
    if (i > 0) text += " + ";
    if (same > 1) text += counted(same, "layer") + " of ";
    text += layer.cell + ", " + counted(layer.hidden, "unit");
    if (layer.bidirectional) text += " each way";
  }
  if (network.pool == Pooling::mean) text += ", mean over the timesteps";
  if (network.pool == Pooling::max) text += ", maximum over the timesteps";
  return text;
}

std::string evaluation_line(const Evaluation& e, const Network& network) {
  const std::string end = format("   (%zu %s)\n", e.samples, samples_text(network));
  if (std::isnan(e.rmse)) {
    return format("accuracy  %.4f   loss %.4f", e.accuracy, e.loss) + end;
  }
  return format("RMSE  %.6g   MAE %.6g   R2 %.4f   loss %.4g", e.rmse, e.mae, e.r2, e.loss) + end;
}

std::string curve_text(const std::vector<EpochResult>& history) {
  constexpr std::size_t kRows = 12;
  double largest_loss = 0;
  for (const EpochResult& epoch : history) largest_loss = std::max(largest_loss, epoch.loss);
  const bool has_accuracy =
      std::ranges::any_of(history, [](const EpochResult& e) { return !std::isnan(e.accuracy); });
  std::string text = has_accuracy ? " epoch      loss  accuracy\n" : " epoch      loss\n";
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
  const Network& network = run.model.parameters().network();
  if (run.test) text += "test       " + evaluation_line(*run.test, network);
  if (run.validation) text += "validation " + evaluation_line(*run.validation, network);
  text += "training   " + evaluation_line(run.train, network);
  text += "trained    " + counted(run.fit.history.size(), "epoch") +
          format(" in %.2f s, ", run.fit.seconds()) + with_unit(run.fit.timesteps_per_second()) +
          " timesteps/s, " + (run.ranks > 1 ? format("%d ranks of ", run.ranks) : std::string()) +
          counted(static_cast<std::size_t>(run.fit.threads), "thread") + ", backend " +
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
