#include "fit.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace lockstep::command {
namespace {

// Keeps the weights of the epoch with the smallest validation loss. Without patience, the last.
class EarlyStopping {
 public:
  explicit EarlyStopping(std::size_t patience) : patience_(patience) {}

  void note(const EpochResult& epoch, const Parameters& parameters) {
    last_epoch_ = epoch.epoch;
    if (patience_ == 0) return;
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    const double loss = std::isnan(epoch.validation_loss) ? kInfinity : epoch.validation_loss;
    if (best_epoch_ > 0 && loss >= best_loss_) return;
    best_loss_ = loss;
    best_epoch_ = epoch.epoch;
    best_ = parameters;
  }
  [[nodiscard]] bool is_over() const {
    return patience_ > 0 && last_epoch_ - best_epoch_ >= patience_;
  }
  // Puts the weights to keep into `parameters` and returns the epoch they are from.
  [[nodiscard]] std::size_t restore(Parameters& parameters) const {
    if (best_epoch_ == 0) return last_epoch_;
    parameters = best_;
    return best_epoch_;
  }

 private:
  std::size_t patience_;
  std::size_t last_epoch_ = 0;
  std::size_t best_epoch_ = 0;
  double best_loss_ = 0;
  Parameters best_;
};

void require_finite(const EpochResult& epoch, const Parameters& parameters) {
  const auto is_finite = [](float v) { return std::isfinite(v); };
  if (std::isfinite(epoch.loss) && std::ranges::all_of(parameters.values(), is_finite)) return;
  throw std::runtime_error("training diverged in epoch " + std::to_string(epoch.epoch) +
                           ": the loss or a weight is no longer a finite number; lower "
                           "--learning-rate or set --clip-norm (no model was written)");
}

void add_validation(EpochResult& epoch, const Parameters& parameters, const Dataset& validation,
                    int threads) {
  if (validation.empty()) return;
  const Evaluation evaluation = evaluate_on(parameters, validation, threads);
  epoch.validation_loss = evaluation.loss;
  epoch.validation_accuracy = evaluation.accuracy;
}

}  // namespace

double FitResult::seconds() const {
  double sum = 0;
  for (const EpochResult& epoch : history) sum += epoch.seconds;
  return sum;
}

double FitResult::timesteps_per_second() const {
  double sum = 0;
  for (const EpochResult& epoch : history) sum += static_cast<double>(epoch.timesteps);
  return sum / seconds();
}

FitResult fit(Parameters& parameters, const Dataset& train, const Dataset& validation,
              const TrainCommand& command, const FitObserver& observer,
              const InterruptHandler& interrupt) {
  Trainer trainer(parameters, command.options);
  EarlyStopping stopping(command.options.patience);
  FitResult result;
  result.threads = trainer.threads();
  const auto on_batch = [&](const BatchProgress& progress) {
    if (observer.on_batch) observer.on_batch(progress);
    return interrupt.signal() == 0;
  };
  while (result.history.size() < command.options.epochs && !stopping.is_over() &&
         interrupt.signal() == 0) {
    EpochResult epoch = trainer.run_epoch(train, on_batch);
    require_finite(epoch, parameters);
    add_validation(epoch, parameters, validation, result.threads);
    stopping.note(epoch, parameters);
    result.history.push_back(epoch);
    if (observer.on_epoch) observer.on_epoch(epoch);
  }
  result.kept_epoch = stopping.restore(parameters);
  result.signal = interrupt.signal();
  return result;
}

Evaluation evaluate_on(const Parameters& parameters, const Dataset& data, int threads) {
  return evaluate(predict_proba(parameters, data, threads), data.labels(), data.classes());
}

}  // namespace lockstep::command
