#include "train/step_trial.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <memory>
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

// Seconds: of all steps together, of the first of each, of a leaf so that it is timed in full, of
// short runs that are repeated at once.
constexpr double kMostOfAll = 1.0;
constexpr double kMostOfFirst = 0.8;
constexpr double kMostOfLeaf = 0.3;
constexpr double kShort = 0.005;
constexpr int kMostRuns = 20;
constexpr int kMostRounds = 20;
constexpr std::size_t kMostRows = 256;  // of a leaf

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// The least time of some runs of work(team).
template <class Work>
double least_seconds(int threads, const Work& work) {
  double least = std::numeric_limits<double>::infinity();
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
        least = std::min(least, seconds);
        spent += seconds;
        goes_on = ++runs < kMostRuns && spent < kShort;
      }
      team.barrier();
    }
  });
  return least;
}

// Equal sequences: what they hold takes no time.
Dataset random_data(const Network& network, std::size_t rows, std::size_t length) {
  std::vector<std::string> names;
  names.reserve(network.outputs);
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

// What steps train, and on how many threads.
struct Trained {
  explicit Trained(const StepTrial& trial)
      : parameters(trial.network),
        options(trial.options),
        threads(resolve_threads(trial.options.threads)) {
    initialize(parameters, Initializer::xavier, 0, 1);
  }

  [[nodiscard]] double seconds_to_add() const;
  [[nodiscard]] double seconds_to_update();

  Parameters parameters;
  Options options;
  int threads;
};

// A step on a minibatch of its own, without the update.
class TimedMinibatch {
 public:
  TimedMinibatch(const Trained& trained, std::size_t rows, std::size_t length)
      : trained_(trained),
        data_(random_data(trained.parameters.network(), rows, length)),
        minibatch_(rows),
        step_(trained.parameters.network(), MinibatchSize{rows, length, rows * length},
              LossSettings{trained.options, {}}) {
    std::iota(minibatch_.begin(), minibatch_.end(), std::size_t{0});
    step_->begin(data_, minibatch_);
    threads_ = step_->team_size(trained.threads);
  }

  // The least of all times.
  double time() {
    const Inputs inputs(data_);
    least_ = std::min(least_, least_seconds(threads_, [&](const Team& team) {
                        if (team.index() == 0) step_->begin(data_, minibatch_);
                        team.barrier();
                        step_->run(trained_.parameters, inputs, team);
                      }));
    return least_;
  }

 private:
  const Trained& trained_;
  Dataset data_;
  std::vector<std::size_t> minibatch_;
  WithMemory<TrainingStep> step_;
  int threads_ = 1;
  double least_ = std::numeric_limits<double>::infinity();
};

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

// The second time counts too where the first, which warms the caches, was not long.
double seconds_of_timestep(const Trained& trained, std::size_t rows) {
  TimedMinibatch timestep(trained, rows, 1);
  const double first = timestep.time();
  return first > kMostOfLeaf ? first : timestep.time();
}

}  // namespace

std::size_t StepTrial::leaves() const { return leaf_count(leaf_rows_of(network, options), rows); }

TimedStep time_step(const StepTrial& trial) {
  Trained trained(trial);
  const std::size_t leaves = trial.leaves();
  const std::size_t rows = trial.rows / leaves;
  TimedStep timed{.leaf_rows = std::min(rows, kMostRows), .length = trial.length};
  const double of_timestep = seconds_of_timestep(trained, timed.leaf_rows);
  if (of_timestep * static_cast<double>(timed.length) > kMostOfLeaf) {
    const auto fits = static_cast<std::size_t>(kMostOfLeaf / of_timestep);
    timed.length = std::clamp<std::size_t>(fits, 1, timed.length);
  }
  const bool is_whole = timed.leaf_rows == rows;
  const double factor = static_cast<double>(rows) / static_cast<double>(timed.leaf_rows) *
                        static_cast<double>(trial.length) / static_cast<double>(timed.length);
  const Clock::time_point start = Clock::now();
  std::vector<std::unique_ptr<TimedMinibatch>> minibatches;
  double last = 0;  // seconds, of which the next takes about twice as many
  for (std::size_t count = 1; count <= (is_whole ? leaves : 1); count *= 2) {
    const double before = seconds_since(start);
    if (before + 2 * last > kMostOfFirst) break;
    const std::size_t timed_rows = is_whole ? trial.rows / (leaves / count) : timed.leaf_rows;
    minibatches.push_back(std::make_unique<TimedMinibatch>(trained, timed_rows, timed.length));
    timed.work.leaves.push_back(minibatches.back()->time());
    last = seconds_since(start) - before;
  }
  // In turn, so that what slows the machine for a while slows all.
  double round = seconds_since(start);
  for (int i = 1; i < kMostRounds && seconds_since(start) + round < kMostOfAll; ++i) {
    const double before = seconds_since(start);
    for (std::size_t k = 0; k < minibatches.size(); ++k) {
      timed.work.leaves[k] = minibatches[k]->time();
    }
    round = seconds_since(start) - before;
  }
  for (double& seconds : timed.work.leaves) seconds *= factor;
  timed.work.adding = trained.seconds_to_add();
  timed.work.updating = trained.seconds_to_update();
  return timed;
}

}  // namespace lockstep
