#include "train/fit.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <span>
#include <string>
#include <utility>

#include "lockstep/error.h"
#include "lockstep/rnn/metrics.h"
#include "lockstep/rnn/predict.h"
#include "lockstep/rnn/random.h"

namespace lockstep {
namespace {

bool all_finite(const Parameters& parameters) {
  const auto is_finite = [](float value) { return std::isfinite(value); };
  return std::ranges::all_of(parameters.values(), is_finite);
}

// The weights to end with: those of the smallest validation loss, or without patience the last. It
// puts them in place when it is destroyed, however the training ends.
class KeptWeights {
 public:
  KeptWeights(Parameters& parameters, std::size_t patience)
      : parameters_(parameters), kept_(parameters), patience_(patience) {}
  ~KeptWeights() { parameters_ = std::move(kept_); }
  KeptWeights(const KeptWeights&) = delete;
  KeptWeights& operator=(const KeptWeights&) = delete;

  void note(const EpochResult& result, Parameters weights) {
    last_epoch_ = result.epoch;
    const bool is_better = epoch_ == 0 || result.validation_loss < loss_;
    if (patience_ > 0 && !is_better) return;
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    loss_ = std::isnan(result.validation_loss) ? kInfinity : result.validation_loss;
    epoch_ = result.epoch;
    kept_ = std::move(weights);
  }
  // Those before a minibatch that failed, where none are better.
  void note_failure(const EpochResult& result, Parameters weights) {
    if (patience_ > 0) return;
    if (result.failed_minibatch > 1) epoch_ = result.epoch;
    kept_ = std::move(weights);
  }
  [[nodiscard]] std::size_t epoch() const { return epoch_; }
  [[nodiscard]] bool is_patience_over() const {
    return patience_ > 0 && last_epoch_ - epoch_ >= patience_;
  }

 private:
  Parameters& parameters_;
  Parameters kept_;
  std::size_t patience_;
  std::size_t last_epoch_ = 0;
  std::size_t epoch_ = 0;  // that the weights are of
  double loss_ = 0;
};

void add_validation(EpochResult& result, const Parameters& parameters, const Dataset& validation,
                    int threads) {
  if (validation.empty()) return;
  const Evaluation evaluation = evaluate(predict_proba(parameters, validation, threads),
                                         validation.labels(), validation.classes());
  result.validation_loss = evaluation.loss;
  result.validation_accuracy = evaluation.accuracy;
}

}  // namespace

FitResult fit(Parameters& parameters, const Dataset& train, const Dataset& validation,
              const Options& options, const FitObserver& observer) {
  Trainer trainer(parameters, options);
  KeptWeights kept(parameters, options.patience);
  FitResult result;
  result.threads = trainer.threads();
  bool stopped = false;
  const auto on_batch = [&](const BatchProgress& progress) {
    stopped = observer.on_batch && !observer.on_batch(progress);
    return !stopped;
  };
  while (result.status == FitStatus::finished && result.history.size() < options.epochs) {
    EpochResult epoch = trainer.run_epoch(train, on_batch);
    Parameters weights = trainer.averaged();
    const bool is_finite = all_finite(weights) && all_finite(parameters);
    const bool has_diverged = epoch.failed_minibatch > 0 || !is_finite;
    if (!has_diverged) {
      add_validation(epoch, weights, validation, result.threads);
      trainer.note_loss(validation.empty() ? epoch.loss : epoch.validation_loss);
      kept.note(epoch, std::move(weights));
    } else if (is_finite) {
      kept.note_failure(epoch, std::move(weights));
    }
    result.history.push_back(epoch);
    if (observer.on_epoch && !observer.on_epoch(epoch)) stopped = true;
    if (stopped) result.status = FitStatus::stopped;
    if (kept.is_patience_over()) result.status = FitStatus::patience;
    if (has_diverged) result.status = FitStatus::diverged;
  }
  result.kept_epoch = kept.epoch();
  return result;
}

double FitResult::seconds() const {
  double sum = 0;
  for (const EpochResult& epoch : history) sum += epoch.seconds;
  return sum;
}

std::size_t FitResult::skipped() const {
  std::size_t sum = 0;
  for (const EpochResult& epoch : history) sum += epoch.skipped;
  return sum;
}

double FitResult::timesteps_per_second() const {
  double sum = 0;
  for (const EpochResult& epoch : history) sum += static_cast<double>(epoch.timesteps);
  return sum / seconds();
}

ValidationSplit split_validation(const Dataset& data, double share, std::uint64_t seed) {
  const std::size_t size = data.size();
  const auto held_out = static_cast<std::size_t>(std::lround(share * static_cast<double>(size)));
  if (held_out == 0 || held_out >= size) {
    throw InvalidArgument("validation: this share of " + std::to_string(size) +
                          " sequences leaves none to validate on or none to train on");
  }
  std::vector<std::size_t> order(size);
  std::iota(order.begin(), order.end(), std::size_t{0});
  KeyedRandom(seed, "validation").shuffle(order);
  const auto middle = order.begin() + static_cast<std::ptrdiff_t>(held_out);
  std::sort(order.begin(), middle);
  std::sort(middle, order.end());
  return {.train = data.subset(std::span(middle, order.end())),
          .validation = data.subset(std::span(order.begin(), middle))};
}

}  // namespace lockstep
