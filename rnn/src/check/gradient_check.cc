#include "lockstep/rnn/gradient_check.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <span>
#include <utility>

#include "heads/head.h"
#include "lockstep/rnn/random.h"
#include "lockstep/threads.h"
#include "network/layer_size.h"
#include "network/tensors.h"
#include "train/training_step.h"

namespace lockstep {
namespace {

using Vector = std::vector<double>;

// A matrix among the parameters.
struct Matrix {
  std::size_t begin;
  std::size_t rows;
  std::size_t cols;

  [[nodiscard]] std::size_t end() const { return begin + rows * cols; }
};

// One direction of a layer.
struct ReferenceLayer {
  ReferenceLayer(const LayerSize& of, std::size_t begin)
      : size(of),
        b{begin, 1, size.sums()},
        wx{b.end(), size.inputs, size.input_columns().size()},
        wh{wx.end(), size.hidden, size.state_columns().size()} {}

  // The own timestep that it reads as its k-th of `steps`.
  [[nodiscard]] std::size_t own_time(std::size_t k, std::size_t steps) const {
    return size.backward ? steps - 1 - k : k;
  }
  // Where its outputs are among those of the layer.
  [[nodiscard]] std::size_t first_output() const { return size.backward ? size.hidden : 0; }

  LayerSize size;
  Matrix b;
  Matrix wx;
  Matrix wh;
};

// The parameters in double.
struct ReferenceModel {
  ReferenceModel(const Parameters& p, const Dataset& data, const Options& options)
      : network(p.network()),
        head(head_of(network)),
        settings(loss_settings(options, data, network.outputs)),
        dropout(options),
        values(p.values().begin(), p.values().end()) {
    std::size_t end = 0;
    for (const LayerSize& size : layer_sizes(network)) {
      layers.emplace_back(size, end);
      end = layers.back().wh.end();
    }
    by = {end, 1, network.outputs};
    wy = {by.end(), network.layers.back().outputs(), network.outputs};
  }

  Network network;
  const Head& head;
  LossSettings settings;
  Dropout dropout;
  std::vector<ReferenceLayer> layers;
  Matrix by{};
  Matrix wy{};
  Vector values;
};

// The timesteps of a sequence that its gradient covers, and the states before them, constants: one
// for each of the layers.
struct Window {
  std::size_t sequence;
  std::size_t first;  // of its timesteps
  std::vector<Vector> states;
  std::span<const float> x;
  std::vector<Target> targets;  // of each row that the head reads
  std::vector<Vector> earlier;  // outputs of the last layer at the timesteps before
  double weight = 1;            // of the sequence
};

// h, and c where the cell has it, of each unit side by side, as Cell::define has them.
std::size_t floats_per_unit(const LayerSize& size) { return size.state() / size.hidden; }

Vector h_of(const LayerSize& size, const Vector& state) {
  Vector h(size.hidden);
  for (std::size_t j = 0; j < size.hidden; ++j) h[j] = state[j * floats_per_unit(size)];
  return h;
}

// Adds z times a matrix: along its rows, and each sum in the order of z.
void add_product(const ReferenceModel& m, std::span<const double> z, const Matrix& matrix,
                 std::span<double> sum) {
  for (std::size_t i = 0; i < z.size(); ++i) {
    const std::size_t row = matrix.begin + i * matrix.cols;
    for (std::size_t j = 0; j < matrix.cols; ++j) sum[j] += z[i] * m.values[row + j];
  }
}

// A row of values, such as a bias.
Vector row_of(const ReferenceModel& m, const Matrix& row) {
  const auto first = m.values.begin() + static_cast<std::ptrdiff_t>(row.begin);
  return {first, first + static_cast<std::ptrdiff_t>(row.cols)};
}

// A timestep: what the cell has made of its sums, and the state after it.
struct ReferenceStep {
  Vector gates;  // [unit][sum]
  Vector after;
};

ReferenceStep reference_step(const ReferenceModel& m, const ReferenceLayer& layer, const Vector& x,
                             const Vector& before) {
  const LayerSize& size = layer.size;
  Vector sums = row_of(m, layer.b);
  add_product(m, x, layer.wx, std::span(sums).subspan(size.input_columns().begin));
  add_product(m, h_of(size, before), layer.wh, std::span(sums).subspan(size.state_columns().begin));
  ReferenceStep step{Vector(size.sums()), Vector(size.state())};
  Vector of_unit(size.cell->sums);
  for (std::size_t j = 0; j < size.hidden; ++j) {
    for (std::size_t k = 0; k < of_unit.size(); ++k) of_unit[k] = sums[k * size.hidden + j];
    const std::size_t place = j * floats_per_unit(size);
    size.cell->define(of_unit.data(), before.data() + place, step.gates.data() + j * of_unit.size(),
                      step.after.data() + place);
  }
  return step;
}

// What becomes of a window: for each of the layers what it read, [timestep], and its steps in the
// order in which it went, behind the state before them.
struct ReferencePass {
  std::vector<std::vector<Vector>> inputs;
  std::vector<std::vector<ReferenceStep>> steps;
  std::vector<Vector> outputs;  // of the last layer, [timestep]
};

// Multiplies what a layer reads, or its gradient, by the factors of the dropout.
void drop(const ReferenceModel& m, std::size_t layer, const Window& window,
          std::vector<Vector>& inputs) {
  for (const ReferenceLayer& below : m.layers) {
    if (below.size.layer + 1 != layer || !m.dropout.drops()) continue;
    for (std::size_t t = 0; t < inputs.size(); ++t) {
      std::vector<float> factors(below.size.hidden, 1.0f);
      m.dropout.apply(below.size, window.sequence, window.first + t, 0, factors);
      for (std::size_t j = 0; j < factors.size(); ++j) {
        inputs[t][below.first_output() + j] *= static_cast<double>(factors[j]);
      }
    }
  }
}

std::vector<Vector> inputs_of(const ReferenceModel& m, const Window& window) {
  const std::size_t features = m.network.features;
  std::vector<Vector> inputs;
  for (std::span<const float> x = window.x; !x.empty(); x = x.subspan(features)) {
    inputs.emplace_back(x.begin(), x.begin() + static_cast<std::ptrdiff_t>(features));
  }
  return inputs;
}

ReferencePass reference_pass(const ReferenceModel& m, const Window& window) {
  ReferencePass pass;
  std::vector<Vector> inputs = inputs_of(m, window);
  const std::size_t steps = inputs.size();
  std::vector<Vector> outputs;
  for (std::size_t i = 0; i < m.layers.size(); ++i) {
    const ReferenceLayer& layer = m.layers[i];
    if (!layer.size.backward && layer.size.layer > 0) {
      inputs = std::exchange(outputs, {});
      drop(m, layer.size.layer, window, inputs);
    }
    if (!layer.size.backward) {
      outputs.assign(steps, Vector(m.network.layers[layer.size.layer].outputs()));
    }
    std::vector<ReferenceStep> done{{{}, window.states[i]}};
    for (std::size_t k = 0; k < steps; ++k) {
      const std::size_t t = layer.own_time(k, steps);
      done.push_back(reference_step(m, layer, inputs[t], done.back().after));
      std::ranges::copy(h_of(layer.size, done.back().after),
                        outputs[t].begin() + static_cast<std::ptrdiff_t>(layer.first_output()));
    }
    pass.inputs.push_back(inputs);
    pass.steps.push_back(std::move(done));
  }
  pass.outputs = std::move(outputs);
  return pass;
}

// The timestep whose output j of the last layer is pooled: the last that its direction reads, or
// the first with the largest.
std::size_t pooled_timestep(const ReferenceModel& m, const std::vector<Vector>& outputs,
                            std::size_t j) {
  const bool backward = j >= m.network.layers.back().hidden;
  if (m.network.pool == Pooling::last) return backward ? 0 : outputs.size() - 1;
  std::size_t best = 0;
  for (std::size_t t = 1; t < outputs.size(); ++t) {
    if (outputs[t][j] > outputs[best][j]) best = t;
  }
  return best;
}

// Outputs of the last layer at all timesteps of a sequence up to the end of a window.
std::vector<Vector> all_outputs(const Window& window, const ReferencePass& pass) {
  std::vector<Vector> all = window.earlier;
  all.insert(all.end(), pass.outputs.begin(), pass.outputs.end());
  return all;
}

// What the head reads of them.
Vector pooled(const ReferenceModel& m, const std::vector<Vector>& outputs) {
  Vector result(m.wy.rows, 0.0);
  for (std::size_t j = 0; j < result.size(); ++j) {
    if (m.network.pool != Pooling::mean) {
      result[j] = outputs[pooled_timestep(m, outputs, j)][j];
      continue;
    }
    for (const Vector& output : outputs) result[j] += output[j];
    result[j] /= static_cast<double>(outputs.size());
  }
  return result;
}

// What the head reads, a row for each target.
std::vector<Vector> rows_of_head(const ReferenceModel& m, const Window& window,
                                 const ReferencePass& pass) {
  if (is_of_steps(m.head.targets)) return pass.outputs;
  return {pooled(m, all_outputs(window, pass))};
}

// From the gradient of what was pooled, `of_pooled`, those of the outputs of the window.
std::vector<Vector> gradients_of_outputs(const ReferenceModel& m, const Window& window,
                                         const ReferencePass& pass, const Vector& of_pooled) {
  const std::vector<Vector> all = all_outputs(window, pass);
  std::vector<Vector> gradients(all.size(), Vector(of_pooled.size(), 0.0));
  for (std::size_t j = 0; j < of_pooled.size(); ++j) {
    if (m.network.pool != Pooling::mean) {
      gradients[pooled_timestep(m, all, j)][j] = of_pooled[j];
      continue;
    }
    for (Vector& gradient : gradients) {
      gradient[j] = of_pooled[j] / static_cast<double>(all.size());
    }
  }
  gradients.erase(gradients.begin(),
                  gradients.end() - static_cast<std::ptrdiff_t>(pass.outputs.size()));
  return gradients;
}

Vector reference_outputs(const ReferenceModel& m, const Vector& read) {
  Vector y = row_of(m, m.by);
  add_product(m, read, m.wy, y);
  return y;
}

// Of a sequence, or of its timesteps from `first` on.
std::vector<Target> targets_of(const Dataset& data, std::size_t i, std::size_t first) {
  const std::size_t outputs = data.classes();
  switch (data.target_kind()) {
    case TargetKind::label:
      return {{.label = data.label(i), .values = {}}};
    case TargetKind::values:
      return {{.label = kNoLabel, .values = data.targets(i)}};
    case TargetKind::step_labels:
    case TargetKind::step_values:
      break;
  }
  std::vector<Target> targets;
  for (std::size_t t = first; t < data.length(i); ++t) {
    if (data.target_kind() == TargetKind::step_labels) {
      targets.push_back({.label = data.step_labels(i)[t], .values = {}});
    } else {
      targets.push_back(
          {.label = kNoLabel, .values = data.targets(i).subspan(t * outputs, outputs)});
    }
  }
  return targets;
}

// The weighted loss of a row, whose outputs become their gradients.
double weighted_loss(const ReferenceModel& m, const Window& window, std::size_t row, Vector& y) {
  const Target& target = window.targets[row];
  const double loss = m.head.define(y, target, m.settings.options);
  double weight = window.weight;
  if (!m.settings.class_weights.empty() && target.label != kNoLabel) {
    weight *= static_cast<double>(m.settings.class_weights[static_cast<std::size_t>(target.label)]);
  }
  for (double& gradient : y) gradient *= weight;
  return loss * weight;
}

std::vector<Window> reference_windows(const ReferenceModel& m, const Dataset& data,
                                      std::size_t truncation) {
  std::vector<Window> windows;
  for (std::size_t i = 0; i < data.size(); ++i) {
    const std::size_t passed = data.length(i) - std::min(data.length(i), window_of(truncation));
    const auto x = data.sequence(i);
    const std::size_t cut = passed * data.channels();
    Window window{i,
                  0,
                  {},
                  x.first(cut),
                  targets_of(data, i, passed),
                  {},
                  static_cast<double>(data.weight(i))};
    for (const ReferenceLayer& layer : m.layers)
      window.states.emplace_back(layer.size.state(), 0.0);
    const ReferencePass before = reference_pass(m, window);
    for (std::size_t k = 0; k < m.layers.size(); ++k) {
      window.states[k] = before.steps[k].back().after;
    }
    window.earlier = before.outputs;
    window.first = passed;
    window.x = x.subspan(cut);
    windows.push_back(std::move(window));
  }
  return windows;
}

double reference_loss(const ReferenceModel& m, const std::vector<Window>& windows) {
  double total = 0;
  for (const Window& window : windows) {
    const std::vector<Vector> rows = rows_of_head(m, window, reference_pass(m, window));
    for (std::size_t i = 0; i < rows.size(); ++i) {
      Vector y = reference_outputs(m, rows[i]);
      total += weighted_loss(m, window, i, y);
    }
  }
  return total;
}

// Adds the gradient of a matrix, of which z times it has the gradient `delta`.
void add_gradient(std::span<const double> z, const Matrix& matrix, std::span<const double> delta,
                  Vector& gradient) {
  for (std::size_t i = 0; i < z.size(); ++i) {
    const std::size_t row = matrix.begin + i * matrix.cols;
    for (std::size_t j = 0; j < matrix.cols; ++j) gradient[row + j] += z[i] * delta[j];
  }
}

// delta times the transpose of a matrix: the gradient of z.
Vector times_transpose(const ReferenceModel& m, const Matrix& matrix,
                       std::span<const double> delta) {
  Vector dz(matrix.rows, 0.0);
  for (std::size_t i = 0; i < matrix.rows; ++i) {
    const std::size_t row = matrix.begin + i * matrix.cols;
    for (std::size_t j = 0; j < matrix.cols; ++j) dz[i] += delta[j] * m.values[row + j];
  }
  return dz;
}

// The deltas of a timestep; the gradients of its state become those of the state before beside the
// products.
Vector reference_deltas(const LayerSize& size, const ReferenceStep& step, const Vector& before,
                        Vector& gradients) {
  Vector deltas(size.sums());
  Vector of_unit(size.cell->sums);
  for (std::size_t j = 0; j < size.hidden; ++j) {
    const std::size_t place = j * floats_per_unit(size);
    size.cell->define_back(step.gates.data() + j * size.cell->sums, before.data() + place,
                           step.after.data() + place, gradients.data() + place, of_unit.data());
    for (std::size_t k = 0; k < of_unit.size(); ++k) deltas[k * size.hidden + j] = of_unit[k];
  }
  return deltas;
}

void add_to_h(const LayerSize& size, std::span<const double> dh, Vector& gradients) {
  for (std::size_t j = 0; j < size.hidden; ++j) gradients[j * floats_per_unit(size)] += dh[j];
}

// One layer back through a window: from the gradients of its outputs, [timestep], to those of its
// parameters, added to `sum`, and of what it read, added to `inputs`.
void go_back(const ReferenceModel& m, std::size_t which, const ReferencePass& pass,
             const std::vector<Vector>& outputs, Vector& sum, std::vector<Vector>& inputs) {
  const ReferenceLayer& layer = m.layers[which];
  const LayerSize& size = layer.size;
  const std::vector<ReferenceStep>& steps = pass.steps[which];
  Vector gradients(size.state(), 0.0);
  for (std::size_t k = steps.size() - 1; k-- > 0;) {
    const std::size_t t = layer.own_time(k, steps.size() - 1);
    add_to_h(size, std::span(outputs[t]).subspan(layer.first_output()), gradients);
    const Vector& before = steps[k].after;
    const Vector deltas = reference_deltas(size, steps[k + 1], before, gradients);
    const std::span<const double> of_inputs =
        std::span(deltas).subspan(size.input_columns().begin, layer.wx.cols);
    const std::span<const double> of_states =
        std::span(deltas).subspan(size.state_columns().begin, layer.wh.cols);
    for (std::size_t j = 0; j < deltas.size(); ++j) sum[layer.b.begin + j] += deltas[j];
    add_gradient(pass.inputs[which][t], layer.wx, of_inputs, sum);
    add_gradient(h_of(size, before), layer.wh, of_states, sum);
    add_to_h(size, times_transpose(m, layer.wh, of_states), gradients);
    if (size.layer == 0) continue;
    const Vector dx = times_transpose(m, layer.wx, of_inputs);
    std::ranges::transform(inputs[t], dx, inputs[t].begin(), std::plus<>());
  }
}

// Backpropagation through the window of one sequence, added to `sum`.
void add_reference_gradients(const ReferenceModel& m, const Window& window,
                             ReferenceGradients& sum) {
  const ReferencePass pass = reference_pass(m, window);
  const std::vector<Vector> rows = rows_of_head(m, window, pass);
  std::vector<Vector> of_rows;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    Vector dy = reference_outputs(m, rows[i]);
    sum.loss += weighted_loss(m, window, i, dy);
    for (std::size_t j = 0; j < dy.size(); ++j) sum.values[m.by.begin + j] += dy[j];
    add_gradient(rows[i], m.wy, dy, sum.values);
    of_rows.push_back(times_transpose(m, m.wy, dy));
  }
  const std::size_t steps = pass.inputs[0].size();
  std::vector<Vector> outputs =
      is_of_steps(m.head.targets) ? of_rows : gradients_of_outputs(m, window, pass, of_rows[0]);
  std::vector<Vector> inputs;
  for (std::size_t i = m.layers.size(); i-- > 0;) {
    const ReferenceLayer& layer = m.layers[i];
    if (inputs.empty()) inputs.assign(steps, Vector(layer.size.inputs, 0.0));
    go_back(m, i, pass, outputs, sum.values, inputs);
    if (layer.size.backward) continue;
    drop(m, layer.size.layer, window, inputs);
    outputs = std::exchange(inputs, {});
  }
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

void require_checkable(const Parameters& parameters, const Dataset& data, const Options& options) {
  validate(options);
  require_training_data(parameters, data, "gradients");
  require_whole_sequences(parameters.network().is_bidirectional(), options.truncate);
}

}  // namespace

ReferenceGradients reference_gradients(const Parameters& parameters, const Dataset& data,
                                       const Options& options) {
  require_checkable(parameters, data, options);
  const ReferenceModel model(parameters, data, options);
  ReferenceGradients sum;
  sum.values.assign(parameters.values().size(), 0.0);
  for (const Window& window : reference_windows(model, data, options.truncate)) {
    add_reference_gradients(model, window, sum);
  }
  return sum;
}

Parameters fast_gradients(const Parameters& parameters, const Dataset& data,
                          const Options& options) {
  require_checkable(parameters, data, options);
  Parameters gradients(parameters.network());
  if (data.empty()) return gradients;
  std::vector<std::size_t> all(data.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  const std::size_t window = window_of(options.truncate);
  WithMemory<TrainingStep> step(parameters.network(),
                                largest_minibatch(data, data.size(), window, all),
                                loss_settings(options, data, parameters.network().outputs));
  step->begin(data, all);
  parallel(step->team_size(resolve_threads(options.threads)), [&](const Team& team) noexcept {
    const FlushDenormals flush;
    step->run(parameters, data, team);
  });
  std::ranges::copy(step->gradient(), gradients.values().begin());
  return gradients;
}

double fast_error_bound(const Network& network, const Dataset& data) {
  std::size_t longest = data.total_timesteps();
  for (const LayerSize& size : layer_sizes(network)) longest = std::max(longest, size.rows());
  constexpr double kShort = 1000;
  return kFastErrorBound * std::max(1.0, std::sqrt(static_cast<double>(longest) / kShort));
}

std::vector<GradientError> check_gradients(const Parameters& parameters, const Dataset& data,
                                           const Options& options, double epsilon,
                                           std::size_t max_entries) {
  const ReferenceGradients reference = reference_gradients(parameters, data, options);
  const Parameters fast = fast_gradients(parameters, data, options);
  ReferenceModel model(parameters, data, options);
  const std::vector<Window> windows = reference_windows(model, data, options.truncate);
  Random random(options.seed);
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
