#include "harness.h"
#include "lockstep/rnn/builtin_data.h"
#include "problems.h"
#include "suites.h"

namespace lockstep::bench {
namespace {

std::string shape_name(const RnnBenchShape& s) {
  const auto number = [](std::size_t size) { return std::to_string(size); };
  const bool stack = s.layers > 1;
  return number(s.n) + "x" + number(s.t) + "x" + number(s.d) + "x" +
         (stack ? number(s.layers) + "x" : "") + number(s.h) +
         (s.bidirectional ? "-bidirectional" : "") + (s.ragged ? "-ragged" : "") +
         (s.denormal ? "-denormal" : "");
}

// Multiply-adds of one timestep of one sequence: of inputs to the network, of those of layers
// above, and of states.
struct Products {
  explicit Products(const Parameters& parameters) {
    for (const Tensor& tensor : parameters.tensors()) {
      const auto size = static_cast<double>(tensor.size());
      if (tensor.role == TensorRole::hidden_weights) states += size;
      if (tensor.role != TensorRole::input_weights) continue;
      (tensor.name.starts_with("rnn.weight_ih_l0") ? first : above) += size;
    }
  }

  double first = 0, above = 0, states = 0;
};

// FLOP of a pass. The rate of training counts three products of [x, h] and W, as is customary:
// forward, deltas, weight gradients. Really needed are no deltas of the inputs to the network; a
// contender that goes back to these does them too.
Work pass_work(const Case& c, const RnnProblem& p) {
  const Products products(p.parameters);
  const double all = products.first + products.above + products.states;
  const double backward = all + products.above + products.states;
  const double done = backward + (c.contender->computes_input_gradient() ? products.first : 0);
  const double per_product = 2 * static_cast<double>(p.timesteps);
  const bool is_forward = c.kernel == Kernel::rnn_forward;
  const bool is_backward = c.kernel == Kernel::rnn_backward;
  const double customary = is_forward ? all : is_backward ? backward : 3 * all;
  Work work = product_work(c, per_product * customary, 0);
  work.needed = per_product * (is_forward ? all : is_backward ? done : all + done);
  work.timesteps = static_cast<double>(p.timesteps);
  return work;
}

// Of a tensor, the columns of one sum of the units.
std::vector<float> columns_of(std::span<const float> values, const Tensor& tensor,
                              std::size_t first, std::size_t count) {
  std::vector<float> columns;
  for (std::size_t row = 0; row < tensor.rows; ++row) {
    const auto part = values.subspan(tensor.offset + row * tensor.cols + first, count);
    columns.insert(columns.end(), part.begin(), part.end());
  }
  return columns;
}

// Each gate of each tensor by its own largest element: that of another one would hide it.
std::string check_gradient(const std::vector<float>& found, const RnnProblem& p) {
  if (found.size() != p.gradient.size()) return "the result has the wrong size";
  const std::size_t h = p.shape.h;
  for (const Tensor& tensor : p.parameters.tensors()) {
    if (tensor.offset >= found.size()) break;  // the output layer
    for (std::size_t first = 0; first < tensor.cols; first += h) {
      const std::string what = difference(columns_of(found, tensor, first, h),
                                          columns_of(p.gradient, tensor, first, h), kOfGradient);
      if (what.empty()) continue;
      return "gradient of " + tensor.name + ", sum " + std::to_string(first / h) + ": " + what;
    }
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

void register_network(std::span<Contender* const> contenders, const RnnBenchShape& shape,
                      int threads) {
  const Body body = [shape](benchmark::State& s, const Case& c) { time_rnn(s, c, shape); };
  const std::string_view cell = shape.cell == "tanh" ? "" : shape.cell;
  for (const Kernel pass : {Kernel::rnn_forward, Kernel::rnn_backward, Kernel::rnn_train}) {
    for (Contender* contender : contenders) {
      if (!contender->has_network(shape)) continue;
      register_case({.kernel = pass,
                     .contender = contender,
                     .shape = shape_name(shape),
                     .threads = threads,
                     .cell = cell},
                    body, benchmark::kMillisecond);
    }
  }
}

}  // namespace

void register_rnn_suites(std::span<Contender* const> contenders, const Selection& selection) {
  for (const int threads : selection.threads) {
    for (const RnnBenchShape& shape : kRnnShapes) {
      if (selection.includes(shape.run)) register_network(contenders, shape, threads);
    }
    for (const std::string_view cell : kGatedCells) {
      for (RnnBenchShape shape : kGatedShapes) {
        shape.cell = cell;
        if (selection.includes(shape.run)) register_network(contenders, shape, threads);
      }
    }
    for (Contender* contender : contenders) {
      register_case({Kernel::rnn_fit, contender, kFitData, threads}, time_fit,
                    benchmark::kMillisecond);
    }
  }
}

}  // namespace lockstep::bench
