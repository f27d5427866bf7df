#include "lockstep/rnn/gradient_check.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <stdexcept>

#include "forward.h"
#include "lockstep/rnn/random.h"
#include "lockstep/threads.h"
#include "parameter_check.h"
#include "training_step.h"

namespace lockstep {
namespace {

using Vector = std::vector<double>;

// The parameters in double, with the shorthand of the formulas.
struct ReferenceModel {
  explicit ReferenceModel(const RnnParameters& p)
      : shape(p.shape),
        recurrent(p.recurrent.begin(), p.recurrent.end()),
        output(p.output.begin(), p.output.end()) {}

  // Row 0 is the bias, then the rows of Wx and of Wh.
  [[nodiscard]] double recurrent_at(std::size_t row, std::size_t column) const {
    return recurrent[row * shape.hidden + column];
  }
  [[nodiscard]] double output_at(std::size_t row, std::size_t column) const {
    return output[row * shape.classes + column];
  }

  RnnShape shape;
  Vector recurrent;
  Vector output;
};

// The timesteps of a sequence that its gradient goes back over, and the state before them, which it
// takes for a constant.
struct Window {
  Vector state;
  std::span<const float> x;
  std::size_t label;
};

// h_t for t = -1 .. T-1, so states[t + 1] is h_t. Along the rows of the weights, as they stand in
// memory; each sum is still in the order of the formula: bias, x, h.
std::vector<Vector> reference_states(const ReferenceModel& m, const Vector& before,
                                     std::span<const float> x) {
  const auto [d, h, c] = m.shape;
  const std::size_t steps = x.size() / d;
  std::vector<Vector> states(steps + 1, Vector(h, 0.0));
  states[0] = before;
  for (std::size_t t = 0; t < steps; ++t) {
    Vector& sum = states[t + 1];
    const auto add_row = [&](double value, std::size_t row) {
      for (std::size_t j = 0; j < h; ++j) sum[j] += value * m.recurrent_at(row, j);
    };
    add_row(1.0, 0);
    for (std::size_t i = 0; i < d; ++i) add_row(static_cast<double>(x[t * d + i]), 1 + i);
    for (std::size_t i = 0; i < h; ++i) add_row(states[t][i], 1 + d + i);
    for (double& value : sum) value = std::tanh(value);
  }
  return states;
}

// Softmax of the logits and the cross-entropy of `label`.
Vector reference_softmax(const ReferenceModel& m, const Vector& state, std::size_t label,
                         double& loss) {
  Vector p(m.shape.classes);
  for (std::size_t k = 0; k < p.size(); ++k) {
    p[k] = m.output_at(0, k);
    for (std::size_t i = 0; i < state.size(); ++i) p[k] += state[i] * m.output_at(1 + i, k);
  }
  const double max = *std::max_element(p.begin(), p.end());
  double sum = 0;
  for (const double y : p) sum += std::exp(y - max);
  loss = std::log(sum) + max - p[label];
  for (double& y : p) y = std::exp(y - max) / sum;
  return p;
}

std::vector<Window> reference_windows(const ReferenceModel& m, const Dataset& data,
                                      std::size_t truncation) {
  std::vector<Window> windows;
  for (std::size_t i = 0; i < data.size(); ++i) {
    const std::size_t passed = data.length(i) - std::min(data.length(i), window_of(truncation));
    const auto x = data.sequence(i);
    const std::size_t cut = passed * data.channels();
    windows.push_back({reference_states(m, Vector(m.shape.hidden, 0.0), x.first(cut)).back(),
                       x.subspan(cut), static_cast<std::size_t>(data.label(i))});
  }
  return windows;
}

double reference_loss(const ReferenceModel& m, const std::vector<Window>& windows) {
  double total = 0;
  for (const Window& window : windows) {
    double loss = 0;
    reference_softmax(m, reference_states(m, window.state, window.x).back(), window.label, loss);
    total += loss;
  }
  return total;
}

// Backpropagation through the window of one sequence, added to `sum`.
void add_reference_gradients(const ReferenceModel& m, const Window& window,
                             ReferenceGradients& sum) {
  const auto [d, h, c] = m.shape;
  const auto& [before, x, label] = window;
  const std::vector<Vector> states = reference_states(m, before, x);
  double loss = 0;
  Vector dy = reference_softmax(m, states.back(), label, loss);
  sum.loss += loss;
  dy[label] -= 1;
  Vector dh(h, 0.0);
  for (std::size_t k = 0; k < c; ++k) {
    sum.output[k] += dy[k];
    for (std::size_t i = 0; i < h; ++i) {
      sum.output[(1 + i) * c + k] += states.back()[i] * dy[k];
      dh[i] += dy[k] * m.output_at(1 + i, k);
    }
  }
  for (std::size_t t = states.size() - 1; t-- > 0;) {
    Vector delta(h);
    for (std::size_t j = 0; j < h; ++j) {
      delta[j] = dh[j] * (1 - states[t + 1][j] * states[t + 1][j]);
    }
    const auto add_row = [&](double value, std::size_t row) {
      for (std::size_t j = 0; j < h; ++j) sum.recurrent[row * h + j] += value * delta[j];
    };
    add_row(1.0, 0);
    for (std::size_t i = 0; i < d; ++i) add_row(static_cast<double>(x[t * d + i]), 1 + i);
    for (std::size_t i = 0; i < h; ++i) {
      add_row(states[t][i], 1 + d + i);
      dh[i] = 0;
      for (std::size_t j = 0; j < h; ++j) dh[i] += delta[j] * m.recurrent_at(1 + d + i, j);
    }
  }
}

void require_channels(const RnnParameters& parameters, const Dataset& data) {
  require_whole(parameters, "gradients");
  if (data.channels() == parameters.shape.features) return;
  throw std::invalid_argument("gradients: the data has " + std::to_string(data.channels()) +
                              " channels, but the model takes " +
                              std::to_string(parameters.shape.features));
}

void require_fit(const RnnParameters& parameters, const Dataset& data) {
  require_channels(parameters, data);
  for (const int label : data.labels()) {
    if (label >= 0 && static_cast<std::size_t>(label) < parameters.shape.classes) continue;
    throw std::invalid_argument("gradients: label " + std::to_string(label) + " is not in [0, " +
                                std::to_string(parameters.shape.classes) + ")");
  }
}

std::vector<std::size_t> all_indices(const Dataset& data) {
  std::vector<std::size_t> indices(data.size());
  std::iota(indices.begin(), indices.end(), std::size_t{0});
  return indices;
}

// A tensor as a run of entries of one of the two parameter matrices.
struct Tensor {
  const char* name;
  bool is_output;
  std::size_t begin;
  std::size_t end;
};

std::vector<Tensor> tensors_of(const RnnShape& s) {
  const std::size_t inputs = s.hidden * (1 + s.features);
  return {{"bias", false, 0, s.hidden},
          {"input_weights", false, s.hidden, inputs},
          {"hidden_weights", false, inputs, inputs + s.hidden * s.hidden},
          {"output_bias", true, 0, s.classes},
          {"output_weights", true, s.classes, s.classes + s.hidden * s.classes}};
}

// Up to `count` different entries of a tensor; all if count is 0 or larger than the tensor.
std::vector<std::size_t> draw_entries(const Tensor& tensor, std::size_t count, Random& random) {
  std::vector<std::size_t> entries(tensor.end - tensor.begin);
  std::iota(entries.begin(), entries.end(), tensor.begin);
  random.shuffle(entries);
  if (count > 0 && count < entries.size()) entries.resize(count);
  return entries;
}

// The larger of the two; NaN if either is, unlike std::max.
double worse(double a, double b) { return std::isnan(b) || b > a ? b : a; }

double central_difference(ReferenceModel& m, Vector& tensor, std::size_t entry,
                          const std::vector<Window>& windows, double epsilon) {
  const double value = tensor[entry];
  tensor[entry] = value + epsilon;
  const double above = reference_loss(m, windows);
  tensor[entry] = value - epsilon;
  const double below = reference_loss(m, windows);
  tensor[entry] = value;
  return (above - below) / (2 * epsilon);
}

}  // namespace

ReferenceGradients reference_gradients(const RnnParameters& parameters, const Dataset& data,
                                       std::size_t truncation) {
  require_fit(parameters, data);
  const ReferenceModel model(parameters);
  ReferenceGradients sum;
  sum.recurrent.assign(parameters.recurrent.size(), 0.0);
  sum.output.assign(parameters.output.size(), 0.0);
  for (const Window& window : reference_windows(model, data, truncation)) {
    add_reference_gradients(model, window, sum);
  }
  return sum;
}

RnnParameters fast_gradients(const RnnParameters& parameters, const Dataset& data, int threads,
                             std::size_t truncation) {
  require_fit(parameters, data);
  if (data.empty()) return RnnParameters(parameters.shape);
  std::vector<std::size_t> all = all_indices(data);
  const std::size_t window = window_of(truncation);
  TrainingStep step(parameters.shape, largest_minibatch(data, data.size(), window, all), window);
  step.begin(data, all);
  parallel(step.team_size(resolve_threads(threads)), [&](const Team& team) noexcept {
    const FlushDenormals flush;
    step.run(parameters, data, team);
  });
  return step.gradient();
}

std::vector<float> hidden_states(const RnnParameters& parameters, const Dataset& data,
                                 std::size_t sequence) {
  const RnnShape& shape = parameters.shape;
  require_channels(parameters, data);
  if (sequence >= data.size()) {
    throw std::invalid_argument("hidden_states: there is no sequence " + std::to_string(sequence));
  }
  const std::size_t steps = data.length(sequence);
  PackedForward weights(shape);
  weights.pack(parameters, Team());
  ForwardGroup group(shape, 1, steps, timesteps_together(shape, 1, weights.fused));
  AlignedVector<float> rows = prepare_rows(group.layout, steps);
  group.keep_window_at(rows.data());
  const std::vector<std::size_t> member{sequence};
  group.schedule.assign(data, member, 0, 1, steps);
  const FlushDenormals flush;
  group.run(data, weights, Team());
  std::vector<float> states(steps * shape.hidden);
  for (std::size_t t = 0; t < steps; ++t) {
    const float* state = t + 1 < steps ? group.rows_at(t + 1) + group.layout.state
                                       : group.finals() + group.final_layout.state;
    std::copy_n(state, shape.hidden, states.data() + t * shape.hidden);
  }
  return states;
}

std::vector<GradientError> check_gradients(const RnnParameters& parameters, const Dataset& data,
                                           double epsilon, std::size_t max_entries,
                                           std::uint64_t seed, std::size_t truncation) {
  const ReferenceGradients reference = reference_gradients(parameters, data, truncation);
  const RnnParameters fast = fast_gradients(parameters, data, 0, truncation);
  ReferenceModel model(parameters);
  const std::vector<Window> windows = reference_windows(model, data, truncation);
  Random random(seed);
  std::vector<GradientError> errors;
  for (const Tensor& tensor : tensors_of(parameters.shape)) {
    const Vector& expected = tensor.is_output ? reference.output : reference.recurrent;
    const std::vector<float>& found = tensor.is_output ? fast.output : fast.recurrent;
    Vector& weights = tensor.is_output ? model.output : model.recurrent;
    GradientError error;
    error.tensor = tensor.name;
    for (std::size_t i = tensor.begin; i < tensor.end; ++i) {
      error.largest_gradient = worse(error.largest_gradient, std::abs(expected[i]));
      error.fast_error =
          worse(error.fast_error, std::abs(static_cast<double>(found[i]) - expected[i]));
    }
    for (const std::size_t i : draw_entries(tensor, max_entries, random)) {
      const double difference = central_difference(model, weights, i, windows, epsilon);
      error.analytic_error = worse(error.analytic_error, std::abs(difference - expected[i]));
    }
    const double scale = error.largest_gradient == 0 ? 1.0 : error.largest_gradient;
    error.analytic_error /= scale;
    error.fast_error /= scale;
    errors.push_back(error);
  }
  return errors;
}

}  // namespace lockstep
