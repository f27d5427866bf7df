#include "harness.h"
#include "lockstep/backend.h"
#include "lockstep/rnn/builtin_data.h"
#include "lockstep_contender.h"
#include "problems.h"
#include "suites.h"

namespace lockstep::bench {
namespace {

std::string shape_name(const RnnBenchShape& s) {
  return std::to_string(s.n) + "x" + std::to_string(s.t) + "x" + std::to_string(s.d) + "x" +
         std::to_string(s.h) + (s.ragged ? "-ragged" : "");
}

// FLOP of the products that a pass needs. Training is counted as three products of [x, h] and W, as
// is usual: forward, deltas, weight gradients.
double pass_flops(Kernel pass, const RnnProblem& p) {
  const auto steps = static_cast<double>(p.timesteps);
  const auto h = static_cast<double>(p.shape.h);
  const auto d = static_cast<double>(p.shape.d);
  if (pass == Kernel::rnn_forward) return 2 * steps * h * (d + h);
  if (pass == Kernel::rnn_backward) return 2 * steps * h * (d + h + h);
  return 3 * 2 * steps * h * (d + h);
}

std::string check_results(const RnnResults& found, const RnnProblem& p) {
  struct Part {
    const char* name;
    const std::vector<float>& found;
    const std::vector<float>& expected;
    Tolerance tolerance;
  };
  // Of an update, a ten-thousandth: the largest weight moves by a hundredth.
  const Part parts[] = {
      {"final state", found.final_states, p.final_states, kOfLargest},
      {"probabilities", found.probabilities, p.probabilities, kOfLargest},
      {"gradient", found.gradient, p.gradient, kOfGradient},
      {"updated weights", found.updated, p.updated, {0.01 * kOfGradient.tolerance}}};
  bool any = false;
  for (const Part& part : parts) {
    if (part.found.empty()) continue;
    any = true;
    const std::string what = difference(part.found, part.expected, part.tolerance);
    if (!what.empty()) return std::string(part.name) + ": " + what;
  }
  return any ? "" : "there is no result";
}

void time_rnn(benchmark::State& state, const Case& c, const RnnBenchShape& shape) {
  const RnnProblem& problem = rnn_problem(shape);
  const RnnTask task = c.contender->rnn(c.kernel, problem, c.threads);
  Work work = product_work(c, pass_flops(c.kernel, problem));
  work.timesteps = static_cast<double>(problem.timesteps);
  verify_and_time(
      state, c, {&task.run, 1}, [&] { return check_results(task.results(), problem); }, work);
}

double reference_loss(const Dataset& data) {
  const auto reference = lockstep_contender(backends().back());
  const FitTask task = reference->fit(data, 1);
  task.run();
  return task.loss();
}

constexpr const char* kFitData = "synthetic-control";

void time_fit(benchmark::State& state, const Case& c) {
  static const TrainTest sets = make_builtin_dataset(kFitData, 1);
  static const double expected = reference_loss(sets.train);
  const FitTask task = c.contender->fit(sets.train, c.threads);
  const auto check = [&] {
    const float found[] = {static_cast<float>(task.loss())};
    const float wanted[] = {static_cast<float>(expected)};
    return difference(found, wanted, kOfGradient);
  };
  Work work;
  work.timesteps = 2 * static_cast<double>(sets.train.total_timesteps());
  verify_and_time(state, c, {&task.run, 1}, check, work);
}

}  // namespace

void register_rnn_suites(std::span<Contender* const> contenders, const Selection& selection) {
  for (const int threads : selection.threads) {
    for (const RnnBenchShape& shape : kRnnShapes) {
      if (shape.run == Run::full && selection.run == Run::quick) continue;
      const Body body = [shape](benchmark::State& s, const Case& c) { time_rnn(s, c, shape); };
      for (const Kernel pass : {Kernel::rnn_forward, Kernel::rnn_backward, Kernel::rnn_train}) {
        for (Contender* contender : contenders) {
          register_case({pass, contender, shape_name(shape), threads}, body,
                        benchmark::kMillisecond);
        }
      }
    }
    for (Contender* contender : contenders) {
      register_case({Kernel::rnn_fit, contender, kFitData, threads}, time_fit,
                    benchmark::kMillisecond);
    }
  }
}

}  // namespace lockstep::bench
