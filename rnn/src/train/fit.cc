#include "train/fit.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <exception>
#include <limits>
#include <numeric>
#include <span>
#include <string>
#include <utility>

#include "infer/predict.h"
#include "lockstep/backend.h"
#include "lockstep/error.h"
#include "lockstep/rnn/metrics.h"
#include "lockstep/rnn/model.h"
#include "lockstep/rnn/random.h"
#include "lockstep/rnn/ranks.h"
#include "ranks/gather.h"

namespace lockstep {
namespace {

bool all_finite(const Parameters& parameters) {
  const auto is_finite = [](float value) { return std::isfinite(value); };
  return std::ranges::all_of(parameters.values(), is_finite);
}

// The weights to end with: those of the smallest validation loss, or without patience the last. It
// puts them in place when it is destroyed, however the training ends.
class Keeper {
 public:
  Keeper(Parameters& parameters, std::size_t patience, const FitState* from)
      : parameters_(parameters), patience_(patience) {
    if (from != nullptr) {
      kept_ = from->kept;
    } else {
      kept_.weights.assign(parameters.values().begin(), parameters.values().end());
    }
  }
  ~Keeper() { std::ranges::copy(kept_.weights, parameters_.values().begin()); }
  Keeper(const Keeper&) = delete;
  Keeper& operator=(const Keeper&) = delete;

  void note(const EpochResult& result, const Parameters& weights) {
    kept_.last_epoch = result.epoch;
    const bool is_better = kept_.epoch == 0 || result.validation_loss < kept_.loss;
    if (patience_ > 0 && !is_better) return;
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    kept_.loss = std::isnan(result.validation_loss) ? kInfinity : result.validation_loss;
    keep(result.epoch, weights);
  }
  // Nobody knows whether they are better.
  void note_unmeasured(const EpochResult& result, const Parameters& weights) {
    if (patience_ > 0 && kept_.epoch > 0) return;
    kept_.last_epoch = result.epoch;
    keep(result.epoch, weights);
  }
  // The weights before a minibatch that failed, where none are better.
  void note_failure(const EpochResult& result, const Parameters& weights) {
    if (patience_ == 0) keep(result.failed_minibatch > 1 ? result.epoch : kept_.epoch, weights);
  }
  [[nodiscard]] const KeptWeights& kept() const { return kept_; }
  [[nodiscard]] bool is_patience_over() const {
    return patience_ > 0 && kept_.last_epoch - kept_.epoch >= patience_;
  }

 private:
  void keep(std::size_t epoch, const Parameters& weights) {
    kept_.epoch = epoch;
    std::ranges::copy(weights.values(), kept_.weights.begin());
  }

  Parameters& parameters_;
  std::size_t patience_;
  KeptWeights kept_;
};

// Knows when a checkpoint is due.
class CheckpointTimes {
 public:
  explicit CheckpointTimes(const FitObserver& observer)
      : times_(observer.checkpoints.value_or(Checkpoints())) {}

  [[nodiscard]] bool is_on() const { return !times_.path.empty(); }
  [[nodiscard]] bool is_due_in_epoch() const {
    return is_on() && times_.every_seconds > 0 && Clock::now() - last_ >= seconds();
  }
  [[nodiscard]] bool is_due_after(std::size_t epoch) const {
    return is_on() && times_.every_epochs > 0 && epoch % times_.every_epochs == 0;
  }
  void note() { last_ = Clock::now(); }

 private:
  using Clock = std::chrono::steady_clock;
  [[nodiscard]] std::chrono::duration<double> seconds() const {
    return std::chrono::duration<double>(times_.every_seconds);
  }

  Checkpoints times_;
  Clock::time_point last_ = Clock::now();
};

// Was a pass ended in its first minibatch?
bool has_taught_nothing(const EpochResult& pass) {
  return pass.timesteps == 0 && pass.skipped == 0 && pass.failed_minibatch == 0;
}

void add_validation(EpochResult& result, const Parameters& parameters, const Inputs& validation,
                    const Options& options, int threads, const IsInterrupted& is_interrupted,
                    Ranks* ranks) {
  if (validation.data.empty()) return;
  const Evaluation evaluation = evaluate(
      parameters.network(), predict_proba(parameters, validation, threads, is_interrupted, ranks),
      validation.data, options);
  result.validation_loss = evaluation.loss;
  result.validation_accuracy = evaluation.accuracy;
}

// A training from its first or a later epoch on.
class Fit {
 public:
  Fit(Parameters& parameters, const Inputs& train, const Inputs& validation, const Options& options,
      const FitObserver& observer, const FitState* from,
      const std::function<void(const Parameters&, const FitState&)>& save, Ranks* ranks)
      : parameters_(parameters),
        train_(train),
        validation_(validation),
        options_(options),
        observer_(observer),
        save_(save),
        ranks_(ranks),
        times_(observer),
        is_interrupted_(observer.is_interrupted ? IsInterrupted([this] { return asks(); })
                                                : IsInterrupted()),
        trainer_(trainer_from(parameters, options, from, ranks)),
        keeper_(parameters, options.patience, from) {
    if (from != nullptr) result_.history = from->history;
    result_.threads = trainer_.threads();
    if (keeper_.is_patience_over()) result_.status = FitStatus::patience;
  }

  FitResult run() {
    while (result_.status == FitStatus::finished && result_.history.size() < options_.epochs) {
      run_epoch();
    }
    result_.kept_epoch = keeper_.kept().epoch;
    return std::move(result_);
  }

 private:
  static Trainer trainer_from(Parameters& parameters, const Options& options, const FitState* from,
                              Ranks* ranks) {
    Trainer trainer(parameters, options, ranks);
    if (from != nullptr) trainer.set_state(from->trainer);
    return trainer;
  }

  void run_epoch() {
    const auto on_batch = [this](const BatchProgress& progress) {
      if (observer_.on_batch && !observer_.on_batch(progress)) {
        result_.status = FitStatus::stopped;
      }
      return result_.status == FitStatus::finished;
    };
    const CheckpointHooks checkpoints{
        .is_due = [this] { return is_first_rank() && times_.is_due_in_epoch(); },
        .on_due = [this] { write_checkpoint(true, true); }};
    EpochResult epoch = trainer_.run_epoch(train_, on_batch, is_interrupted_, checkpoints);
    const bool ended_early = trainer_.was_stopped();
    if (ended_early) result_.status = FitStatus::stopped;
    if (ended_early) write_checkpoint(true);
    if (ended_early && has_taught_nothing(epoch)) return;
    const bool has_diverged = !note(epoch, ended_early);
    const bool was_stopped = result_.status == FitStatus::stopped;
    result_.history.push_back(epoch);
    together([&] {
      if (observer_.on_epoch && !observer_.on_epoch(epoch)) result_.status = FitStatus::stopped;
    });
    if (keeper_.is_patience_over()) result_.status = FitStatus::patience;
    if (has_diverged) result_.status = FitStatus::diverged;
    if (has_diverged || was_stopped) return;
    const bool ends =
        result_.status != FitStatus::finished || result_.history.size() >= options_.epochs;
    if (ends || times_.is_due_after(epoch.epoch)) write_checkpoint(false);
  }

  bool asks() {
    if (!observer_.is_interrupted()) return false;
    result_.status = FitStatus::stopped;
    return true;
  }

  [[nodiscard]] bool is_first_rank() const { return ranks_ == nullptr || ranks_->rank() == 0; }

  // Does what each rank does by itself between two passes: if it throws or stops the training on
  // one of them, no other continues.
  template <class Work>
  void together(const Work& work) {
    constexpr std::uint64_t kStopped = 1;
    constexpr std::uint64_t kFailed = 2;
    std::exception_ptr failure;
    try {
      work();
    } catch (...) {
      failure = std::current_exception();
    }
    std::uint64_t all = result_.status == FitStatus::stopped ? kStopped : 0;
    if (failure != nullptr) all |= kFailed;
    all = gather_bits(ranks_, all);
    if (failure != nullptr) std::rethrow_exception(failure);
    if ((all & kFailed) != 0) throw ReportedElsewhere("another rank has failed");
    if ((all & kStopped) != 0) result_.status = FitStatus::stopped;
  }

  // Measures the weights after an epoch and keeps them or not; false if it has diverged.
  bool note(EpochResult& epoch, bool ended_early) {
    const Parameters weights = trainer_.averaged();
    const bool is_finite = all_finite(weights) && all_finite(parameters_);
    if (epoch.failed_minibatch > 0 || !is_finite) {
      if (is_finite) keeper_.note_failure(epoch, weights);
      return false;
    }
    try {
      add_validation(epoch, weights, validation_, options_, result_.threads, is_interrupted_,
                     ranks_);
      trainer_.note_loss(validation_.data.empty() ? epoch.loss : epoch.validation_loss);
    } catch (const Interrupted&) {
      result_.status = FitStatus::stopped;       // perhaps by another rank
      if (!ended_early) write_checkpoint(true);  // who resumes it repeats the validation
      keeper_.note_unmeasured(epoch, weights);
      return true;
    }
    keeper_.note(epoch, weights);
    return true;
  }

  // Nothing that has failed: the checkpoint before stays.
  // `is_in_pass`: called by the trainer, in an epoch that continues.
  void write_checkpoint(bool is_in_epoch, bool is_in_pass = false) {
    if (!times_.is_on() || !all_finite(parameters_)) return;
    FitState state{trainer_.state(), keeper_.kept(), result_.history};
    if (state.trainer.pass.failed_minibatch > 0) return;
    state.trainer.is_in_pass = is_in_epoch;
    const auto save = [&] {
      if (is_first_rank()) save_(parameters_, state);
    };
    // In a pass the others hear of a failure with the next minibatch.
    is_in_pass ? save() : together(save);
    times_.note();
  }

  Parameters& parameters_;
  const Inputs& train_;
  const Inputs& validation_;
  const Options& options_;
  const FitObserver& observer_;
  const std::function<void(const Parameters&, const FitState&)>& save_;
  Ranks* ranks_;
  CheckpointTimes times_;
  IsInterrupted is_interrupted_;  // empty if nobody is to be asked
  FitResult result_;
  Trainer trainer_;
  Keeper keeper_;
};

}  // namespace

FitResult fit(Parameters& parameters, const Inputs& train, const Inputs& validation,
              const Options& options, const FitObserver& observer, const FitState* from,
              const std::function<void(const Parameters&, const FitState&)>& save, Ranks* ranks) {
  return Fit(parameters, train, validation, options, observer, from, save, ranks).run();
}

PassByPass::PassByPass(Parameters parameters, Options options, Ranks* ranks)
    : parameters_(std::move(parameters)),
      options_(std::move(options)),
      ranks_(ranks),
      backend_(active_backend().name),
      trainer_(parameters_, options_, ranks) {}

bool PassByPass::goes_on_with(const Options& options, const Ranks* ranks) const {
  return !has_failed_ && options == options_ && ranks == ranks_ &&
         backend_ == active_backend().name;
}

bool PassByPass::keep(Parameters& kept) const {
  const Parameters learnt = trainer_.averaged();
  if (!all_finite(learnt) || !all_finite(parameters_)) return false;
  std::ranges::copy(learnt.values(), kept.values().begin());
  return true;
}

FitResult PassByPass::pass(const Inputs& train,
                           const std::function<bool(const BatchProgress&)>& on_batch,
                           const IsInterrupted& is_interrupted, Parameters& kept) {
  FitResult result;
  result.threads = trainer_.threads();
  const auto observer = [&](const BatchProgress& progress) {
    const bool goes_on = !on_batch || on_batch(progress);
    if (!goes_on) result.status = FitStatus::stopped;
    return goes_on;
  };
  const auto asks = [&] {
    if (!is_interrupted()) return false;
    result.status = FitStatus::stopped;
    return true;
  };
  try {
    result.history.push_back(trainer_.run_epoch(
        train, observer, is_interrupted ? IsInterrupted(asks) : IsInterrupted(), {}));
  } catch (const RanksError&) {
    has_failed_ = true;  // nobody is there to gather with
    throw;
  } catch (...) {
    has_failed_ = ranks_ != nullptr || !keep(kept);
    throw;
  }
  if (trainer_.was_stopped()) result.status = FitStatus::stopped;
  if (result.status == FitStatus::stopped && has_taught_nothing(result.history.back())) {
    result.history.clear();
    return result;
  }
  const EpochResult& epoch = result.history.back();
  trainer_.note_loss(epoch.loss);
  const bool is_kept = keep(kept);
  if (is_kept && epoch.failed_minibatch != 1) result.kept_epoch = epoch.epoch;
  has_failed_ = !is_kept;
  if (!is_kept || epoch.failed_minibatch > 0) result.status = FitStatus::diverged;
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
  std::vector<std::size_t> train;
  std::vector<std::size_t> validation;
  // Class after class, so that the seats of all are those of the whole.
  const bool has_classes = data.target_kind() == TargetKind::label;
  const auto class_of = [&](std::size_t i) { return has_classes ? data.label(i) : 0; };
  std::vector<std::size_t> places(size);
  std::iota(places.begin(), places.end(), std::size_t{0});
  std::ranges::sort(places, {},
                    [&](std::size_t place) { return std::pair(class_of(order[place]), place); });
  for (std::size_t i = 0; i < size; ++i) {
    const std::size_t seats = held_out * (i + 1) / size - held_out * i / size;
    (seats > 0 ? validation : train).push_back(order[places[i]]);
  }
  std::ranges::sort(train);
  std::ranges::sort(validation);
  return {.train = data.subset(train), .validation = data.subset(validation)};
}

}  // namespace lockstep
