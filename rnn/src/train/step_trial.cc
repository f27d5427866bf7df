#include "train/step_trial.h"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "lockstep/rnn/dataset.h"
#include "lockstep/rnn/parameters.h"
#include "lockstep/rnn/random.h"
#include "lockstep/threads.h"
#include "optimizers/optimizer.h"
#include "train/training_step.h"

namespace lockstep {
namespace {

using Clock = std::chrono::steady_clock;

// Seconds: of all leaves together, of a leaf so that it is timed in full, of runs that are
// repeated.
constexpr double kMostOfAll = 1.2;
constexpr double kMostOfLeaf = 0.3;
constexpr double kMostOfRuns = 0.05;
constexpr int kMostRuns = 30;
constexpr std::size_t kMostRows = 256;  // of a leaf

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// The least time of some runs of work(team); the first warms the caches.
template <class Work>
double least_seconds(int threads, const Work& work) {
  double least = 0;
  double spent = 0;
  int runs = 0;
  bool goes_on = true;
  parallel(threads, [&](const Team& team) noexcept {
    const FlushDenormals flush;
    while (goes_on) {
      const Clock::time_point start = Clock::now();
      work(team);
      team.barrier();
      if (team.index() == 0) {
        const double seconds = seconds_since(start);
        least = runs == 0 ? seconds : std::min(least, seconds);
        spent += seconds;
        ++runs;
        goes_on = runs < kMostRuns && spent < (runs == 1 ? kMostOfLeaf : kMostOfRuns);
      }
      team.barrier();
    }
  });
  return least;
}

// Equal sequences: what they hold takes no time.
Dataset random_data(const Network& network, std::size_t rows, std::size_t length) {
  std::vector<std::string> names;
  for (std::size_t c = 0; c < network.outputs; ++c) names.push_back(std::to_string(c));
  Random random(1);
  std::vector<float> some(1009);
  for (float& value : some) value = static_cast<float>(random.normal());
  std::vector<float> values(length * network.features);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = some[i % some.size()];
  Dataset data(network.features, names);
  for (std::size_t i = 0; i < rows; ++i) data.add(values, static_cast<int>(i % network.outputs));
  return data;
}

// What a step trains, and on how many threads.
struct Trained {
  explicit Trained(const StepTrial& trial)
      : parameters(trial.network),
        options(trial.options),
        threads(resolve_threads(trial.options.threads)) {
    initialize(parameters, Initializer::xavier, 0, 1);
  }

  [[nodiscard]] double seconds_of(std::size_t rows, std::size_t length) const;
  [[nodiscard]] double seconds_to_add() const;
  [[nodiscard]] double seconds_to_update();

  Parameters parameters;
  Options options;
  int threads;
};

// Of a minibatch, without the update.
double Trained::seconds_of(std::size_t rows, std::size_t length) const {
  const Network& network = parameters.network();
  const Dataset data = random_data(network, rows, length);
  const Inputs inputs(data);
  std::vector<std::size_t> minibatch(rows);
  std::iota(minibatch.begin(), minibatch.end(), std::size_t{0});
  const MinibatchSize largest{rows, length, rows * length};
  WithMemory<TrainingStep> step(network, largest, LossSettings{options, {}});
  step->begin(data, minibatch);
  return least_seconds(step->team_size(threads), [&](const Team& team) {
    if (team.index() == 0) step->begin(data, minibatch);
    team.barrier();
    step->run(parameters, inputs, team);
  });
}

double Trained::seconds_to_add() const {
  std::vector<float> sum(parameters.values().size());
  const std::vector<float> other(sum.size(), 1.0F);
  return least_seconds(threads, [&](const Team& team) {
    const Range mine = share(sum.size(), team.index(), team.size());
    for (std::size_t i = mine.begin; i < mine.end; ++i) sum[i] += other[i];
  });
}

double Trained::seconds_to_update() {
  Optimizer optimizer(parameters.tensors(), options);
  const std::vector<float> gradient(parameters.values().size(), 1e-6F);
  return least_seconds(threads, [&](const Team& team) {
    optimizer.update(parameters.values(), gradient, 1, 1e-6, team);
    team.barrier();
    if (team.index() == 0) optimizer.advance();
  });
}

}  // namespace

std::size_t StepTrial::leaves() const { return leaf_count(leaf_rows_of(network, options), rows); }

TimedStep time_step(const StepTrial& trial) {
  Trained trained(trial);
  const std::size_t leaves = trial.leaves();
  const std::size_t rows = trial.rows / leaves;
  TimedStep timed{.leaf_rows = std::min(rows, kMostRows), .length = trial.length};
  const double of_timestep = trained.seconds_of(timed.leaf_rows, 1);
  if (of_timestep * static_cast<double>(timed.length) > kMostOfLeaf) {
    const auto fits = static_cast<std::size_t>(kMostOfLeaf / of_timestep);
    timed.length = std::clamp<std::size_t>(fits, 1, timed.length);
  }
  const double factor = static_cast<double>(rows) / static_cast<double>(timed.leaf_rows) *
                        static_cast<double>(trial.length) / static_cast<double>(timed.length);
  double spent = 0;
  double next = 0;  // about as long as the next will take
  for (std::size_t count = 1; count <= leaves && spent + next < kMostOfAll; count *= 2) {
    if (count > 1 && timed.leaf_rows < rows) break;
    const Clock::time_point start = Clock::now();
    const std::size_t timed_rows = count == 1 ? timed.leaf_rows : trial.rows / (leaves / count);
    const double seconds = count == 1 && timed.length == 1
                               ? of_timestep
                               : trained.seconds_of(timed_rows, timed.length);
    timed.work.leaves.push_back(seconds * factor);
    spent += seconds_since(start);
    next = 2 * seconds_since(start);
  }
  timed.work.adding = trained.seconds_to_add();
  timed.work.updating = trained.seconds_to_update();
  return timed;
}

}  // namespace lockstep
