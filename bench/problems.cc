#include "problems.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <memory>
#include <span>
#include <string_view>
#include <tuple>

#include "lockstep/backend.h"
#include "lockstep/gemm.h"
#include "lockstep/rnn/gradient_check.h"
#include "lockstep/rnn/random.h"
#include "lockstep/rnn/trainer.h"
#include "oracle.h"

namespace lockstep::bench {
namespace {

// Multiply-adds that plain loops in double do in about a tenth of a second.
constexpr double kAffordable = 1e8;

std::size_t affordable(double work_of_one, std::size_t least, std::size_t most) {
  const auto count = static_cast<std::size_t>(kAffordable / work_of_one);
  return std::min(most, std::max(count, least));
}

// First, last and evenly spaced ones between.
std::vector<std::size_t> spread(std::size_t count, std::size_t of) {
  std::vector<std::size_t> chosen(count);
  for (std::size_t i = 0; i < count; ++i) chosen[i] = count == 1 ? 0 : i * (of - 1) / (count - 1);
  return chosen;
}

std::string at(std::size_t index, float found, float expected) {
  char text[96];
  std::snprintf(text, sizeof text, "element %zu is %.9g where the reference has %.9g", index,
                static_cast<double>(found), static_cast<double>(expected));
  return text;
}

}  // namespace

ReferenceScope::ReferenceScope() : active_(active_backend().name) { set_backend("reference"); }
ReferenceScope::~ReferenceScope() { set_backend(active_); }

double second_epoch_loss(const Dataset& data, int threads) {
  Parameters parameters(
      {.features = data.channels(), .layers = {{.hidden = 32}}, .outputs = data.classes()});
  initialize(parameters, Initializer::orthogonal, 0, /*seed=*/1);
  Trainer trainer(parameters, {.schedule = LearningRateSchedule::constant, .threads = threads});
  trainer.run_epoch(data);
  return trainer.run_epoch(data).loss;
}

AlignedVector<float> random_numbers(std::size_t n, unsigned seed) {
  AlignedVector<float> x(n);
  unsigned state = seed;
  for (float& v : x) {
    state = state * 1664525u + 1013904223u;  // Numerical Recipes' quick generator
    v = static_cast<float>(state >> 8) * 0x1p-23f - 1.0f;
  }
  return x;
}

std::string difference(std::span<const float> found, std::span<const float> expected,
                       Tolerance tolerance) {
  constexpr double kSmallestNormal = 0x1p-126;
  if (found.size() != expected.size()) return "the result has the wrong size";
  double largest = 0;
  for (const float e : expected) largest = std::max(largest, std::abs(static_cast<double>(e)));
  for (std::size_t i = 0; i < found.size(); ++i) {
    const auto e = static_cast<double>(expected[i]);
    const double allowed = tolerance.tolerance * (tolerance.of_each ? std::abs(e) : largest);
    // Written so that NaN does not pass. Denormal numbers may count as 0.
    if (!(std::abs(static_cast<double>(found[i]) - e) <= std::max(allowed, kSmallestNormal))) {
      return at(i, found[i], expected[i]);
    }
  }
  return {};
}

GemmProblem::GemmProblem(const GemmShape& s, Kernel layout)
    : m(s.m),
      n(s.n),
      k(s.k),
      lda(layout == Kernel::gemm_tn ? m : k),
      // What gemm_accumulate_transposed asks for. Plain products get rows without gaps.
      ldb(layout == Kernel::gemm_tn ? (n + kAlignedColumns - 1) / kAlignedColumns * kAlignedColumns
                                    : n),
      a(random_numbers(m * k, 1)),
      b(random_numbers(k * ldb, 2)),
      c(layout == Kernel::gemm_alpha ? random_numbers(m * n, 6) : AlignedVector<float>(m * n)) {
  const auto row_work = static_cast<double>(n * k);
  known_rows = spread(affordable(row_work, 2, m), m);
  const GemmOperands operands{m, n, k, a.data(), lda, b.data(), ldb, c.data(), n};
  for (const std::size_t row : known_rows) {
    const std::vector<float> product = expected_product_row(layout, operands, row);
    expected.insert(expected.end(), product.begin(), product.end());
  }
}

std::string GemmProblem::check(std::span<const float> result) const {
  std::vector<float> found(expected.size());
  for (std::size_t i = 0; i < known_rows.size(); ++i) {
    std::copy_n(result.data() + known_rows[i] * n, n, found.data() + i * n);
  }
  return difference(found, expected, kOfLargest);
}

std::size_t sequence_length(const RnnBenchShape& s, std::size_t i) {
  if (!s.ragged) return s.t;
  const double last = s.n > 1 ? static_cast<double>(s.n - 1) : 1.0;
  const double share = 0.25 + 0.75 * static_cast<double>(i) / last;
  return std::max<std::size_t>(
      1, static_cast<std::size_t>(std::lround(static_cast<double>(s.t) * share)));
}

namespace {

// A network forgets nothing, so that the first timestep counts for the last state and the gradients
// as the last one does, and a contender that skips any is found out. (Xavier's weights would forget
// within thirty steps.)
//
// The vanilla one has an orthogonal Wh, and inputs so small that the states stay where tanh is all
// but linear. Gates are held open by their biases instead.
double input_scale(const RnnBenchShape& s) {
  // Denormal, and so are the sums over a minibatch. The network has no biases.
  if (s.denormal) return 1e-42;
  constexpr double kLastState = 0.05;  // standard deviation of h after all timesteps
  constexpr double kGateSum = 0.5;     // that of what an input adds to a gate
  const double weight = std::sqrt(2.0 / static_cast<double>(s.d + s.h));
  const double sum = s.cell == "tanh" ? kLastState / std::sqrt(static_cast<double>(s.t)) : kGateSum;
  return sum / (weight * std::sqrt(static_cast<double>(s.d)));
}

// Biases of gates as in chrono initialization (Tallec and Ollivier 2018): what forgets is as good
// as closed for `s.t` timesteps, and what takes in is open for one of them. All others are small.
void open_gates(Parameters& parameters, const RnnBenchShape& s) {
  struct Gate {
    std::string_view cell;
    std::size_t sum;
    float sign;
  };
  constexpr Gate kGates[] = {{"lstm", 0, -1.0f}, {"lstm", 1, 1.0f}, {"gru", 2, 1.0f}};
  if (s.cell == "tanh") return;
  const float open = std::log(static_cast<float>(s.t));
  Random random(3);
  for (const Tensor& tensor : parameters.tensors()) {
    if (tensor.role != TensorRole::bias || tensor.name == "head.bias") continue;
    const std::span<float> bias = parameters[tensor.name];
    for (float& b : bias) b = 0.1f * static_cast<float>(random.normal());
    for (const Gate& gate : kGates) {
      if (gate.cell != s.cell) continue;
      for (float& b : bias.subspan(gate.sum * s.h, s.h)) b += gate.sign * open;
    }
  }
}

Network network_of(const RnnBenchShape& s) {
  return {
      .features = s.d,
      .layers = std::vector<Layer>(
          s.layers, {.cell = std::string(s.cell), .hidden = s.h, .bidirectional = s.bidirectional}),
      .outputs = kClasses};
}

// `different` sequences, repeated to the size of the minibatch. (Ragged ones are all different.)
Dataset repeated_sequences(const RnnBenchShape& s, std::size_t different) {
  std::vector<std::string> names(kClasses);
  for (std::size_t c = 0; c < kClasses; ++c) names[c] = std::to_string(c);
  Dataset data(s.d, names);
  std::vector<std::vector<float>> values(different);
  Random random(7);
  const auto scale = static_cast<float>(input_scale(s));
  for (std::size_t i = 0; i < different; ++i) {
    values[i].resize(sequence_length(s, i) * s.d);
    for (float& v : values[i]) v = scale * static_cast<float>(random.normal());
  }
  for (std::size_t i = 0; i < s.n; ++i) {
    const std::size_t which = i % different;
    // Denormal sequences look the same to the network: gradients of balanced labels would cancel.
    const std::size_t label = s.denormal ? 0 : which % kClasses;
    data.add(values[which], static_cast<int>(label));
  }
  return data;
}

float largest_size(std::span<const float> values) {
  float largest = 0;
  for (const float v : values) largest = std::max(largest, std::abs(v));
  return largest;
}

std::size_t offset_of(const Parameters& parameters, std::string_view tensor) {
  return static_cast<std::size_t>(parameters[tensor].data() - parameters.values().data());
}

// Everything that follows from the first `different` sequences, one by one.
class ReferenceRun {
 public:
  explicit ReferenceRun(RnnProblem& problem)
      : p_(problem),
        bias_(offset_of(problem.parameters, "head.bias")),
        weights_(offset_of(problem.parameters, "head.weight")),
        gradient_(problem.parameters.values().size()) {}

  void add(std::size_t i, std::size_t different) {
    const std::size_t index[] = {i};
    const Dataset one = p_.data.subset(index);
    const ReferenceGradients g = reference_gradients(p_.parameters, one);
    const auto label = static_cast<std::size_t>(one.label(0));
    double times = 0;
    for (std::size_t row = i; row < p_.shape.n; row += different, ++times) {
      set_outputs(g.values, label, row);
    }
    for (std::size_t j = 0; j < gradient_.size(); ++j) gradient_[j] += times * g.values[j];
  }

  // Step width and clipping are chosen such that the norm is clipped and the largest weight moves
  // by a hundredth of itself, so that an update can be checked in float32.
  void finish() {
    const std::vector<float> weights = recurrent_part(p_.parameters.values(), p_.parameters);
    const auto end = gradient_.begin() + static_cast<std::ptrdiff_t>(weights.size());
    p_.gradient.assign(gradient_.begin(), end);
    const auto n = static_cast<double>(p_.shape.n);
    double squares = 0;
    for (const double g : gradient_) squares += g * g;
    p_.clip_norm = 0.5 * std::sqrt(squares) / n;
    const auto largest = static_cast<double>(largest_size(p_.gradient));
    p_.learning_rate = 0.01 * static_cast<double>(largest_size(weights)) / (0.5 * largest / n);
    p_.updated.resize(weights.size());
    for (std::size_t j = 0; j < weights.size(); ++j) {
      p_.updated[j] = static_cast<float>(static_cast<double>(weights[j]) -
                                         p_.learning_rate * 0.5 * gradient_[j] / n);
    }
  }

 private:
  // The gradients of the output layer are e = p - onehot of its bias, and h e^T of its weights.
  void set_outputs(const std::vector<double>& gradients, std::size_t label, std::size_t row) {
    const std::size_t inputs = p_.final_states.size() / p_.shape.n;
    const std::span e = std::span(gradients).subspan(bias_, kClasses);
    const std::span<const float> weights = p_.parameters["head.weight"];
    for (std::size_t j = 0; j < inputs; ++j) {
      double delta = 0;
      for (std::size_t c = 0; c < kClasses; ++c) {
        delta += e[c] * static_cast<double>(weights[j * kClasses + c]);
      }
      p_.final_deltas[row * inputs + j] = static_cast<float>(delta);
      p_.final_states[row * inputs + j] =
          static_cast<float>(gradients[weights_ + j * kClasses + label] / e[label]);
    }
    for (std::size_t c = 0; c < kClasses; ++c) {
      p_.probabilities[row * kClasses + c] = static_cast<float>(e[c] + (c == label ? 1.0 : 0.0));
    }
  }

  RnnProblem& p_;
  std::size_t bias_, weights_;  // of the output layer, in the gradients
  std::vector<double> gradient_;
};

}  // namespace

RnnProblem::RnnProblem(const RnnBenchShape& s)
    : shape(s), parameters(network_of(s)), data(s.d), probabilities(s.n * kClasses) {
  initialize(parameters, Initializer::orthogonal, 0, /*seed=*/1);
  open_gates(parameters, s);
  const double work = 3 * static_cast<double>(s.t * offset_of(parameters, "head.bias"));
  const std::size_t different =
      s.ragged ? s.n : affordable(work, std::min<std::size_t>(s.n, 2), s.n);
  data = repeated_sequences(s, different);
  timesteps = data.total_timesteps();
  final_states.resize(s.n * parameters["head.weight"].size() / kClasses);
  final_deltas.resize(final_states.size());
  ReferenceRun run(*this);
  for (std::size_t i = 0; i < different; ++i) run.add(i, different);
  run.finish();
}

std::vector<float> recurrent_part(std::span<const float> values, const Parameters& parameters) {
  const std::span<const float> part = values.first(offset_of(parameters, "head.bias"));
  return {part.begin(), part.end()};
}

const RnnProblem& rnn_problem(const RnnBenchShape& s) {
  static std::map<RnnBenchShape, std::unique_ptr<RnnProblem>> problems;
  auto& problem = problems[s];
  if (problem == nullptr) problem = std::make_unique<RnnProblem>(s);
  return *problem;
}

const GemmProblem& gemm_problem(const GemmShape& s, Kernel layout) {
  static std::map<std::tuple<std::size_t, std::size_t, std::size_t, Kernel>,
                  std::unique_ptr<GemmProblem>>
      problems;
  auto& problem = problems[{s.m, s.n, s.k, layout}];
  if (problem == nullptr) problem = std::make_unique<GemmProblem>(s, layout);
  return *problem;
}

}  // namespace lockstep::bench
