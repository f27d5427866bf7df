#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "lockstep/rnn/dataset.h"
#include "lockstep/rnn/gradient_check.h"
#include "lockstep/rnn/random.h"
#include "lockstep/rnn/trainer.h"
#include "lockstep/threads.h"
#include "suites.h"

namespace lockstep {
namespace {

struct RnnBenchShape {
  std::size_t n, t, d, h;
};

// From a few units, where calls and latency count, to weights beyond the second-level cache.
constexpr RnnBenchShape kShapes[] = {{20, 60, 1, 50},    {1, 1000, 16, 64},  {32, 28, 28, 128},
                                     {64, 784, 1, 128},  {64, 100, 64, 256}, {128, 50, 256, 512},
                                     {64, 25, 512, 1024}};

Dataset random_sequences(const RnnBenchShape& s, std::size_t classes) {
  std::vector<std::string> names(classes);
  for (std::size_t c = 0; c < classes; ++c) names[c] = std::to_string(c);
  Dataset data(s.d, names);
  Random random(7);
  std::vector<float> values(s.t * s.d);
  for (std::size_t i = 0; i < s.n; ++i) {
    for (float& v : values) v = static_cast<float>(random.normal());
    data.add(values, static_cast<int>(i % classes));
  }
  return data;
}

// NaN does not pass.
bool agrees(const std::vector<float>& found, const std::vector<double>& expected) {
  double largest = 0;
  for (const double e : expected) largest = std::max(largest, std::abs(e));
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (!(std::abs(static_cast<double>(found[i]) - expected[i]) <= 1e-4 * largest)) return false;
  }
  return true;
}

// The gradients of as many sequences as the double reference does in a second or so.
bool gradients_agree(const RnnParameters& parameters, const Dataset& data) {
  const double work = static_cast<double>(data.length(0) * parameters.recurrent.size());
  const auto affordable = static_cast<std::size_t>(std::max(1.0, 100e6 / work));
  std::vector<std::size_t> first(std::min(data.size(), affordable));
  std::iota(first.begin(), first.end(), std::size_t{0});
  const Dataset few = data.subset(first);
  const ReferenceGradients expected = reference_gradients(parameters, few);
  const RnnParameters found = fast_gradients(parameters, few);
  return agrees(found.recurrent, expected.recurrent) && agrees(found.output, expected.output);
}

// One training step: gather, forward, loss, backward, clipping, update.
void run_training_step(benchmark::State& state, const std::string& backend, const RnnBenchShape& s,
                       int threads) {
  constexpr std::size_t kClasses = 10;
  set_backend(backend);
  const Dataset data = random_sequences(s, kClasses);
  RnnParameters parameters({s.d, s.h, kClasses});
  Random random(1);
  initialize(parameters, Initializer::xavier, 0, random);
  if (!gradients_agree(parameters, data)) {
    state.SkipWithError("the gradients differ from the double reference");
    return;
  }
  TrainOptions options;
  options.batch_size = s.n;
  options.learning_rate = 1e-3;
  options.clip_norm = 1;
  options.shuffle = false;
  options.threads = threads;
  Trainer trainer(parameters, options);
  trainer.run_epoch(data);
  for (auto _ : state) trainer.run_epoch(data);
  const auto steps = static_cast<double>(s.n * s.t);
  state.counters["timesteps/s"] = rate(steps);
  // Forward, deltas and weight gradients: three products of [x, h] and W.
  state.counters["FLOP/s"] = rate(3 * 2 * steps * static_cast<double>(s.h * (s.d + s.h)));
}

}  // namespace

void register_rnn_benchmarks(const std::string& backend) {
  for (const RnnBenchShape& s : kShapes) {
    // Plain loops in double take minutes on the larger shapes.
    if (backend == "reference" && s.h > 64) continue;
    for (int threads = 1; threads <= default_threads().count; threads *= 2) {
      const std::string name = "rnn_train/" + backend + "/" + std::to_string(s.n) + "x" +
                               std::to_string(s.t) + "x" + std::to_string(s.d) + "x" +
                               std::to_string(s.h) + "/" + std::to_string(threads);
      benchmark::RegisterBenchmark(name.c_str(),
                                   [backend, s, threads](benchmark::State& state) {
                                     run_training_step(state, backend, s, threads);
                                   })
          ->UseRealTime()
          ->Unit(benchmark::kMillisecond);
    }
  }
}

}  // namespace lockstep
