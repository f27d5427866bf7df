#include "lockstep/rnn/gradient_check.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

#include "heads/head.h"
#include "lockstep/rnn/random.h"
#include "lockstep/threads.h"
#include "lookup.h"
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
};

// The parameters in double.
struct ReferenceModel {
  explicit ReferenceModel(const Parameters& p)
      : size(p.network()),
        wx{size.sums(), size.inputs, size.input_columns().size()},
        wh{wx.begin + wx.rows * wx.cols, size.hidden, size.state_columns().size()},
        by(wh.begin + wh.rows * wh.cols),
        wy{by + p.network().outputs, size.hidden, p.network().outputs},
        head(find_named(kHeads, p.network().head, "head")),
        values(p.values().begin(), p.values().end()) {}

  LayerSize size;
  Matrix wx;  // behind the bias, which is first
  Matrix wh;
  std::size_t by;
  Matrix wy;
  const Head& head;
  Vector values;
};

// The timesteps of a sequence that its gradient covers, and the state before them, a constant.
struct Window {
  Vector state;
  std::span<const float> x;
  std::size_t label;
};

// h, and c where the cell has it, of each unit side by side, as Cell::define has them.
std::size_t floats_per_unit(const LayerSize& size) { return size.state() / size.hidden; }

Vector h_of(const LayerSize& size, const Vector& state) {
  Vector h(size.hidden);
  for (std::size_t j = 0; j < size.hidden; ++j) h[j] = state[j * floats_per_unit(size)];
  return h;
}

// Adds z times a matrix: along its rows, and each sum in the order of z.
template <class T>
void add_product(const ReferenceModel& m, std::span<const T> z, const Matrix& matrix,
                 std::span<double> sum) {
  for (std::size_t i = 0; i < z.size(); ++i) {
    const std::size_t row = matrix.begin + i * matrix.cols;
    for (std::size_t j = 0; j < matrix.cols; ++j) {
      sum[j] += static_cast<double>(z[i]) * m.values[row + j];
    }
  }
}

// A timestep: what the cell has made of its sums, and the state after it.
struct ReferenceStep {
  Vector gates;  // [unit][sum]
  Vector after;
};

ReferenceStep reference_step(const ReferenceModel& m, std::span<const float> x,
                             const Vector& before) {
  const LayerSize& size = m.size;
  Vector sums(m.values.begin(), m.values.begin() + static_cast<std::ptrdiff_t>(size.sums()));
  add_product(m, x, m.wx, std::span(sums).subspan(size.input_columns().begin));
  add_product(m, std::span<const double>(h_of(size, before)), m.wh,
              std::span(sums).subspan(size.state_columns().begin));
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

std::vector<ReferenceStep> reference_steps(const ReferenceModel& m, const Vector& before,
                                           std::span<const float> x) {
  std::vector<ReferenceStep> steps{{{}, before}};
  for (; !x.empty(); x = x.subspan(m.size.inputs)) {
    steps.push_back(reference_step(m, x.first(m.size.inputs), steps.back().after));
  }
  return steps;
}

Vector reference_outputs(const ReferenceModel& m, const Vector& h) {
  const auto by = m.values.begin() + static_cast<std::ptrdiff_t>(m.by);
  Vector y(by, by + static_cast<std::ptrdiff_t>(m.wy.cols));
  add_product(m, std::span<const double>(h), m.wy, y);
  return y;
}

std::vector<Window> reference_windows(const ReferenceModel& m, const Dataset& data,
                                      std::size_t truncation) {
  std::vector<Window> windows;
  for (std::size_t i = 0; i < data.size(); ++i) {
    const std::size_t passed = data.length(i) - std::min(data.length(i), window_of(truncation));
    const auto x = data.sequence(i);
    const std::size_t cut = passed * data.channels();
    windows.push_back({reference_steps(m, Vector(m.size.state(), 0.0), x.first(cut)).back().after,
                       x.subspan(cut), static_cast<std::size_t>(data.label(i))});
  }
  return windows;
}

double reference_loss(const ReferenceModel& m, const std::vector<Window>& windows) {
  double total = 0;
  for (const Window& window : windows) {
    const Vector last = reference_steps(m, window.state, window.x).back().after;
    Vector y = reference_outputs(m, h_of(m.size, last));
    total += m.head.define(y, window.label);
  }
  return total;
}

// Adds the gradient of a matrix, of which z times it has the gradient `delta`.
template <class T>
void add_gradient(std::span<const T> z, const Matrix& matrix, std::span<const double> delta,
                  Vector& gradient) {
  for (std::size_t i = 0; i < z.size(); ++i) {
    const std::size_t row = matrix.begin + i * matrix.cols;
    for (std::size_t j = 0; j < matrix.cols; ++j) {
      gradient[row + j] += static_cast<double>(z[i]) * delta[j];
    }
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

void add_to_h(const LayerSize& size, const Vector& dh, Vector& gradients) {
  for (std::size_t j = 0; j < size.hidden; ++j) gradients[j * floats_per_unit(size)] += dh[j];
}

// Backpropagation through the window of one sequence, added to `sum`.
void add_reference_gradients(const ReferenceModel& m, const Window& window,
                             ReferenceGradients& sum) {
  const LayerSize& size = m.size;
  const std::vector<ReferenceStep> steps = reference_steps(m, window.state, window.x);
  const Vector last = h_of(size, steps.back().after);
  Vector dy = reference_outputs(m, last);
  sum.loss += m.head.define(dy, window.label);
  for (std::size_t j = 0; j < dy.size(); ++j) sum.values[m.by + j] += dy[j];
  add_gradient(std::span<const double>(last), m.wy, dy, sum.values);
  Vector gradients(size.state(), 0.0);
  add_to_h(size, times_transpose(m, m.wy, dy), gradients);
  for (std::size_t t = steps.size() - 1; t-- > 0;) {
    const Vector& before = steps[t].after;
    const Vector deltas = reference_deltas(size, steps[t + 1], before, gradients);
    for (std::size_t j = 0; j < deltas.size(); ++j) sum.values[j] += deltas[j];
    const std::span<const double> of_inputs =
        std::span(deltas).subspan(size.input_columns().begin, m.wx.cols);
    const std::span<const double> of_states =
        std::span(deltas).subspan(size.state_columns().begin, m.wh.cols);
    add_gradient(window.x.subspan(t * size.inputs, size.inputs), m.wx, of_inputs, sum.values);
    add_gradient(std::span<const double>(h_of(size, before)), m.wh, of_states, sum.values);
    add_to_h(size, times_transpose(m, m.wh, of_states), gradients);
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

}  // namespace

ReferenceGradients reference_gradients(const Parameters& parameters, const Dataset& data,
                                       std::size_t truncation) {
  require_training_data(parameters, data, "gradients");
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
  require_training_data(parameters, data, "gradients");
  Parameters gradients(parameters.network());
  if (data.empty()) return gradients;
  std::vector<std::size_t> all(data.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  const std::size_t window = window_of(truncation);
  WithMemory<TrainingStep> step(parameters.network(),
                                largest_minibatch(data, data.size(), window, all), window);
  step->begin(data, all);
  parallel(step->team_size(resolve_threads(threads)), [&](const Team& team) noexcept {
    const FlushDenormals flush;
    step->run(parameters, data, team);
  });
  std::ranges::copy(step->gradient(), gradients.values().begin());
  return gradients;
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
