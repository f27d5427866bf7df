#include "lockstep/rnn/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <numeric>
#include <span>
#include <stdexcept>
#include <string>

#include "lockstep/rnn/random.h"
#include "lockstep/threads.h"
#include "optimizer.h"
#include "training_step.h"

namespace lockstep {
namespace {

void require_option(bool holds, const char* message) {
  if (!holds) throw std::invalid_argument(message);
}

void require_options(const TrainOptions& o) {
  require_option(o.batch_size > 0, "batch_size: 0 is not a minibatch; give at least 1");
  require_option(std::isfinite(o.learning_rate) && o.learning_rate > 0,
                 "learning_rate: must be a positive number");
  require_option(o.momentum >= 0 && o.momentum < 1, "momentum: must be in [0, 1)");
  require_option(std::isfinite(o.clip_norm) && o.clip_norm >= 0,
                 "clip_norm: must be positive, or 0 for none");
  require_option(o.schedule != LearningRateSchedule::step || o.decay_epochs > 0,
                 "decay_epochs: must be at least 1");
  require_option(std::isfinite(o.decay) && o.decay > 0, "decay: must be a positive number");
}

void require_data(const Dataset& data, const RnnShape& shape) {
  require_option(!data.empty(), "training data: there is no sequence in it");
  if (data.channels() != shape.features) {
    throw std::invalid_argument("training data: " + std::to_string(data.channels()) +
                                " channels, but the model takes " + std::to_string(shape.features));
  }
  for (std::size_t i = 0; i < data.size(); ++i) {
    const int label = data.label(i);
    if (label >= 0 && static_cast<std::size_t>(label) < shape.classes) continue;
    throw std::invalid_argument("training data: label " + std::to_string(label) + " of sequence " +
                                std::to_string(i) + " is not in [0, " +
                                std::to_string(shape.classes) + ")");
  }
}

}  // namespace

struct Trainer::State {
  State(RnnParameters& p, const TrainOptions& o)
      : parameters(p),
        options(o),
        threads(resolve_threads(o.threads)),
        random(o.seed),
        optimizer(p.shape, o.momentum) {}

  void prepare(const Dataset& data);
  void start_epoch();
  TrainingStep::Totals train_minibatch(const Dataset& data, std::span<const std::size_t> minibatch,
                                       double rate);

  RnnParameters& parameters;
  TrainOptions options;
  int threads;
  Random random;
  Optimizer optimizer;
  std::unique_ptr<TrainingStep> step;
  std::size_t max_rows = 0;       // of the step
  std::size_t max_steps = 0;
  std::size_t max_timesteps = 0;
  std::vector<std::size_t> order;
  std::size_t epochs_done = 0;
};

// Takes the memory for minibatches of this data set, unless it is there already.
void Trainer::State::prepare(const Dataset& data) {
  order.resize(data.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const std::size_t rows = std::min(options.batch_size, data.size());
  const std::size_t steps = data.max_length();
  const std::size_t timesteps = longest_timesteps(data, rows, order);
  if (step != nullptr && rows <= max_rows && steps <= max_steps && timesteps <= max_timesteps) return;
  step.reset();  // if memory runs out below, there is no step that looks large enough
  max_rows = std::max(max_rows, rows);
  max_steps = std::max(max_steps, steps);
  max_timesteps = std::max(max_timesteps, timesteps);
  step = std::make_unique<TrainingStep>(parameters.shape, max_rows, max_steps, max_timesteps);
}

void Trainer::State::start_epoch() {
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (options.shuffle) random.shuffle(order);
}

// The whole of a training step in one parallel region.
TrainingStep::Totals Trainer::State::train_minibatch(const Dataset& data,
                                                     std::span<const std::size_t> minibatch,
                                                     double rate) {
  const FlushDenormals flush;
  step->begin(data, minibatch);
  parallel(step->team_size(threads), [&](const Team& team) noexcept {
    step->run(parameters, data, team);
    const double scale = gradient_scale(step->gradient_norm(), minibatch.size(), options.clip_norm);
    optimizer.update(parameters, step->gradient(), scale, rate, team);
  });
  return step->totals();
}

Trainer::Trainer(RnnParameters& parameters, const TrainOptions& options) {
  require_options(options);
  state_ = std::make_unique<State>(parameters, options);
}

Trainer::~Trainer() = default;
Trainer::Trainer(Trainer&&) noexcept = default;
Trainer& Trainer::operator=(Trainer&&) noexcept = default;

EpochResult Trainer::run_epoch(const Dataset& data,
                               const std::function<bool(const BatchProgress&)>& on_batch) {
  State& s = *state_;
  require_data(data, s.parameters.shape);
  const auto start = std::chrono::steady_clock::now();
  s.prepare(data);
  s.start_epoch();
  EpochResult result;
  result.learning_rate = scheduled_rate(s.options, s.epochs_done);
  result.epoch = ++s.epochs_done;
  result.validation_loss = std::numeric_limits<double>::quiet_NaN();
  result.validation_accuracy = std::numeric_limits<double>::quiet_NaN();
  const std::span<const std::size_t> order(s.order);
  std::size_t done = 0;
  double correct = 0;
  bool go_on = true;
  while (done < order.size() && go_on) {
    const auto minibatch = order.subspan(done, std::min(s.options.batch_size, order.size() - done));
    const TrainingStep::Totals totals = s.train_minibatch(data, minibatch, result.learning_rate);
    result.loss += totals.loss;
    result.timesteps += totals.timesteps;
    correct += static_cast<double>(totals.correct);
    done += minibatch.size();
    if (on_batch) go_on = on_batch({result.epoch, done, order.size()});
  }
  result.loss /= static_cast<double>(done);
  result.accuracy = correct / static_cast<double>(done);
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

std::vector<EpochResult> Trainer::fit(const Dataset& data) {
  std::vector<EpochResult> history;
  for (std::size_t i = 0; i < state_->options.epochs; ++i) history.push_back(run_epoch(data));
  return history;
}

int Trainer::threads() const { return state_->threads; }

std::size_t Trainer::workspace_bytes() const {
  return state_->step == nullptr ? 0 : state_->step->bytes();
}

}  // namespace lockstep
