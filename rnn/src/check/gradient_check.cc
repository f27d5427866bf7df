#include "lockstep/rnn/gradient_check.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

#include "cells/cell.h"
#include "heads/head.h"
#include "infer/forward_pass.h"
#include "lockstep/error.h"
#include "lockstep/rnn/random.h"
#include "lockstep/threads.h"
#include "network/tensors.h"
#include "train/training_step.h"

namespace lockstep {
namespace {

using Vector = std::vector<double>;

// The parameters in double, with the shorthand of the formulas.
struct ReferenceModel {
  explicit ReferenceModel(const Parameters& p)
      : d(p.network().features),
        h(p.network().layers[0].hidden),
        c(p.network().outputs),
        cell(cell_named(p.network().layers[0].cell)),
        head(head_named(p.network().head)),
        values(p.values().begin(), p.values().end()) {}

  // Row 0 of either matrix is the bias; then the rows of Wx and of Wh, and those of Wy.
  [[nodiscard]] std::size_t recurrent_at(std::size_t row) const { return row * h; }
  [[nodiscard]] std::size_t output_at(std::size_t row) const { return (1 + d + h) * h + row * c; }

  std::size_t d;
  std::size_t h;
  std::size_t c;
  const Cell& cell;
  const Head& head;
  Vector values;
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
  const std::size_t d = m.d;
  const std::size_t steps = x.size() / d;
  std::vector<Vector> states(steps + 1, Vector(m.h, 0.0));
  states[0] = before;
  for (std::size_t t = 0; t < steps; ++t) {
    Vector& sum = states[t + 1];
    const auto add_row = [&](double value, std::size_t row) {
      const double* weights = m.values.data() + m.recurrent_at(row);
      for (std::size_t j = 0; j < m.h; ++j) sum[j] += value * weights[j];
    };
    add_row(1.0, 0);
    for (std::size_t i = 0; i < d; ++i) add_row(static_cast<double>(x[t * d + i]), 1 + i);
    for (std::size_t i = 0; i < m.h; ++i) add_row(states[t][i], 1 + d + i);
    for (double& value : sum) value = m.cell.define(value);
  }
  return states;
}

// y = by + h Wy
Vector reference_outputs(const ReferenceModel& m, const Vector& state) {
  const double* bias = m.values.data() + m.output_at(0);
  Vector y(bias, bias + m.c);
  for (std::size_t i = 0; i < m.h; ++i) {
    const double* weights = m.values.data() + m.output_at(1 + i);
    for (std::size_t k = 0; k < m.c; ++k) y[k] += state[i] * weights[k];
  }
  return y;
}

std::vector<Window> reference_windows(const ReferenceModel& m, const Dataset& data,
                                      std::size_t truncation) {
  std::vector<Window> windows;
  for (std::size_t i = 0; i < data.size(); ++i) {
    const std::size_t passed = data.length(i) - std::min(data.length(i), window_of(truncation));
    const auto x = data.sequence(i);
    const std::size_t cut = passed * data.channels();
    windows.push_back({reference_states(m, Vector(m.h, 0.0), x.first(cut)).back(), x.subspan(cut),
                       static_cast<std::size_t>(data.label(i))});
  }
  return windows;
}

double reference_loss(const ReferenceModel& m, const std::vector<Window>& windows) {
  double total = 0;
  for (const Window& window : windows) {
    Vector y = reference_outputs(m, reference_states(m, window.state, window.x).back());
    total += m.head.define(y, window.label);
  }
  return total;
}

// Backpropagation through the window of one sequence, added to `sum`.
void add_reference_gradients(const ReferenceModel& m, const Window& window,
                             ReferenceGradients& sum) {
  const auto& [before, x, label] = window;
  const std::vector<Vector> states = reference_states(m, before, x);
  Vector dy = reference_outputs(m, states.back());
  sum.loss += m.head.define(dy, label);
  const auto add_outer = [&](double value, std::size_t at, const Vector& delta) {
    for (std::size_t j = 0; j < delta.size(); ++j) sum.values[at + j] += value * delta[j];
  };
  const auto product = [&](std::size_t at, const Vector& delta) {
    double dot = 0;
    for (std::size_t j = 0; j < delta.size(); ++j) dot += delta[j] * m.values[at + j];
    return dot;
  };
  Vector dh(m.h);
  add_outer(1.0, m.output_at(0), dy);
  for (std::size_t i = 0; i < m.h; ++i) {
    add_outer(states.back()[i], m.output_at(1 + i), dy);
    dh[i] = product(m.output_at(1 + i), dy);
  }
  Vector delta(m.h);
  for (std::size_t t = states.size() - 1; t-- > 0;) {
    for (std::size_t j = 0; j < m.h; ++j) {
      delta[j] = dh[j] * m.cell.define_slope(states[t + 1][j]);
    }
    add_outer(1.0, m.recurrent_at(0), delta);
    for (std::size_t i = 0; i < m.d; ++i) {
      add_outer(static_cast<double>(x[t * m.d + i]), m.recurrent_at(1 + i), delta);
    }
    for (std::size_t i = 0; i < m.h; ++i) {
      add_outer(states[t][i], m.recurrent_at(1 + m.d + i), delta);
      dh[i] = product(m.recurrent_at(1 + m.d + i), delta);
    }
  }
}

void require_channels(const Parameters& parameters, const Dataset& data) {
  require_parameters(parameters, "gradients");
  if (data.channels() == parameters.network().features) return;
  throw InvalidArgument("gradients: the data has " + std::to_string(data.channels()) +
                        " channels, but the model takes " +
                        std::to_string(parameters.network().features));
}

void require_fit(const Parameters& parameters, const Dataset& data) {
  require_channels(parameters, data);
  for (const int label : data.labels()) {
    if (label >= 0 && static_cast<std::size_t>(label) < parameters.network().outputs) continue;
    throw InvalidArgument("gradients: label " + std::to_string(label) + " is not in [0, " +
                          std::to_string(parameters.network().outputs) + ")");
  }
}

std::vector<std::size_t> all_indices(const Dataset& data) {
  std::vector<std::size_t> indices(data.size());
  std::iota(indices.begin(), indices.end(), std::size_t{0});
  return indices;
}

// Up to `count` different entries of a tensor; all if count is 0 or larger than the tensor.
std::vector<std::size_t> draw_entries(const Tensor& tensor, std::size_t count, Random& random) {
  std::vector<std::size_t> entries(tensor.size());
  std::iota(entries.begin(), entries.end(), tensor.offset);
  random.shuffle(entries);
  if (count > 0 && count < entries.size()) entries.resize(count);
  return entries;
}

// The larger of the two; NaN if either is, unlike std::max.
double worse(double a, double b) { return std::isnan(b) || b > a ? b : a; }

double central_difference(ReferenceModel& m, std::size_t entry, const std::vector<Window>& windows,
                          double epsilon) {
  const double value = m.values[entry];
  m.values[entry] = value + epsilon;
  const double above = reference_loss(m, windows);
  m.values[entry] = value - epsilon;
  const double below = reference_loss(m, windows);
  m.values[entry] = value;
  return (above - below) / (2 * epsilon);
}

}  // namespace

ReferenceGradients reference_gradients(const Parameters& parameters, const Dataset& data,
                                       std::size_t truncation) {
  require_fit(parameters, data);
  const ReferenceModel model(parameters);
  ReferenceGradients sum;
  sum.values.assign(parameters.values().size(), 0.0);
  for (const Window& window : reference_windows(model, data, truncation)) {
    add_reference_gradients(model, window, sum);
  }
  return sum;
}

Parameters fast_gradients(const Parameters& parameters, const Dataset& data, int threads,
                          std::size_t truncation) {
  require_fit(parameters, data);
  Parameters gradients(parameters.network());
  if (data.empty()) return gradients;
  std::vector<std::size_t> all = all_indices(data);
  const std::size_t window = window_of(truncation);
  TrainingStep step(parameters.network(), largest_minibatch(data, data.size(), window, all),
                    window);
  step.begin(data, all);
  parallel(step.team_size(resolve_threads(threads)), [&](const Team& team) noexcept {
    const FlushDenormals flush;
    step.run(parameters, data, team);
  });
  std::ranges::copy(step.gradient(), gradients.values().begin());
  return gradients;
}

std::vector<float> hidden_states(const Parameters& parameters, const Dataset& data,
                                 std::size_t sequence) {
  require_channels(parameters, data);
  if (sequence >= data.size()) {
    throw InvalidArgument("hidden_states: there is no sequence " + std::to_string(sequence));
  }
  const Network& network = parameters.network();
  const LayerSize size(network);
  const RowLayout layout = size.layout();
  const std::size_t steps = data.length(sequence);
  WithMemory<PackedNetwork> weights(network);
  weights->pack(parameters, Team());
  WithMemory<ForwardPass> pass(network, RecurrentLayer::Limits{.rows = 1,
                                                               .window = steps,
                                                               .has_passing = false,
                                                               .together = timesteps_together(
                                                                   size, 1, weights->layer.fused()),
                                                               .has_way_back = false});
  Workspace counted;
  static_cast<void>(take_rows(counted, layout, steps));
  Workspace workspace = counted.with_memory();
  pass->layer.keep_window_at(take_rows(workspace, layout, steps).data());
  pass->schedule.assign(data, std::vector<std::size_t>{sequence}, 0, 1, steps);
  const FlushDenormals flush;
  pass->run(data, *weights, Team());
  std::vector<float> states(steps * size.hidden);
  for (std::size_t t = 0; t < steps; ++t) {
    const float* state = t + 1 < steps ? pass->layer.rows_at(pass->schedule, t + 1) + layout.state
                                       : pass->layer.finals() + size.final_layout().state;
    std::copy_n(state, size.hidden, states.data() + t * size.hidden);
  }
  return states;
}

std::vector<GradientError> check_gradients(const Parameters& parameters, const Dataset& data,
                                           double epsilon, std::size_t max_entries,
                                           std::uint64_t seed, std::size_t truncation) {
  const ReferenceGradients reference = reference_gradients(parameters, data, truncation);
  const Parameters fast = fast_gradients(parameters, data, 0, truncation);
  ReferenceModel model(parameters);
  const std::vector<Window> windows = reference_windows(model, data, truncation);
  Random random(seed);
  std::vector<GradientError> errors;
  for (const Tensor& tensor : parameters.tensors()) {
    const Vector& expected = reference.values;
    const std::span<const float> found = fast.values();
    GradientError error;
    error.tensor = tensor.name;
    for (std::size_t i = tensor.offset; i < tensor.offset + tensor.size(); ++i) {
      error.largest_gradient = worse(error.largest_gradient, std::abs(expected[i]));
      error.fast_error =
          worse(error.fast_error, std::abs(static_cast<double>(found[i]) - expected[i]));
    }
    for (const std::size_t i : draw_entries(tensor, max_entries, random)) {
      const double difference = central_difference(model, i, windows, epsilon);
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
