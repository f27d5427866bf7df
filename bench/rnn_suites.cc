#include "harness.h"
#include "lockstep/rnn/builtin_data.h"
#include "problems.h"
#include "suites.h"

namespace lockstep::bench {
namespace {

std::string shape_name(const RnnBenchShape& s) {
  return std::to_string(s.n) + "x" + std::to_string(s.t) + "x" + std::to_string(s.d) + "x" +
         std::to_string(s.h) + (s.ragged ? "-ragged" : "") + (s.denormal ? "-denormal" : "");
}

// FLOP of a pass. The rate of training counts three products of [x, h] and W, as is customary:
// forward, deltas, weight gradients. Really needed are the deltas of h alone, [.., h] and Wh; a
// contender that goes back to the inputs does those of x too.
Work pass_work(const Case& c, const RnnProblem& p) {
  const auto h = static_cast<double>(p.shape.h);
  const auto d = static_cast<double>(p.shape.d);
  const double per_column = 2 * static_cast<double>(p.timesteps) * h;
  const double forward = per_column * (d + h);
  const double backward =
      per_column * (h + (d + h) + (c.contender->computes_input_gradient() ? d : 0));
  const bool is_forward = c.kernel == Kernel::rnn_forward;
  const bool is_backward = c.kernel == Kernel::rnn_backward;
  const double customary = is_forward    ? forward
                           : is_backward ? per_column * (d + h + h)
                                         : 3 * forward;
  Work work = product_work(c, customary, 0);
  work.needed = is_forward ? forward : is_backward ? backward : forward + backward;
  work.timesteps = static_cast<double>(p.timesteps);
  return work;
}

// b, Wx and Wh, or their gradients.
std::vector<std::span<const float>> tensors(std::span<const float> recurrent, const RnnProblem& p) {
  const std::size_t h = p.shape.h;
  return {recurrent.subspan(0, h), recurrent.subspan(h, p.shape.d * h),
          recurrent.subspan((1 + p.shape.d) * h)};
}

// Each tensor by its own largest element: that of another one would hide it.
std::string check_gradient(const std::vector<float>& found, const RnnProblem& p) {
  if (found.size() != p.gradient.size()) return "the result has the wrong size";
  constexpr const char* kNames[] = {"b", "Wx", "Wh"};
  const auto parts = tensors(found, p);
  const auto expected = tensors(p.gradient, p);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::string what = difference(parts[i], expected[i], kOfGradient);
    if (!what.empty()) return std::string("gradient of ") + kNames[i] + ": " + what;
  }
  return {};
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
      {"updated weights", found.updated, p.updated, {0.01 * kOfGradient.tolerance}}};
  bool any = !found.gradient.empty();
  if (any) {
    if (std::string what = check_gradient(found.gradient, p); !what.empty()) return what;
  }
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
  const auto check = [&] { return check_results(task.results(), problem); };
  verify_and_time(state, c, {&task.run, 1}, check, pass_work(c, problem));
}

// What every contender is to train, by the library itself on the reference backend.
double reference_loss(const Dataset& data) {
  const ReferenceScope scope;
  return second_epoch_loss(data, 1);
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
      if (!selection.includes(shape.run)) continue;
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
