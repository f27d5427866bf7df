#include "lockstep/rnn/gradient_check.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

#include "heads/head.h"
#include "lockstep/rnn/random.h"
#include "lockstep/threads.h"
#include "lookup.h"
#include "network/tensors.h"
#include "train/training_step.h"

namespace lockstep {
namespace {

using Vector = std::vector<double>;

// Where in the parameters the matrix of a layer begins, whose first row is the bias.
struct Matrix {
  std::size_t begin;
  std::size_t cols;
};

// The parameters in double.
struct ReferenceModel {
  explicit ReferenceModel(const Parameters& p)
      : size(p.network()),
        recurrent{0, size.hidden},
        output{size.rows() * size.hidden, p.network().outputs},
        head(find_named(kHeads, p.network().head, "head")),
        values(p.values().begin(), p.values().end()) {}

  LayerSize size;
  Matrix recurrent;  // b, Wx, Wh
  Matrix output;     // by, Wy
  const Head& head;
  Vector values;
};

// The timesteps of a sequence that its gradient covers, and the state before them, a constant.
struct Window {
  Vector state;
  std::span<const float> x;
  std::size_t label;
};

// [1, x, h], what a matrix is multiplied by.
Vector row_of(std::span<const float> x, const Vector& h) {
  Vector z{1.0};
  z.insert(z.end(), x.begin(), x.end());
  z.insert(z.end(), h.begin(), h.end());
  return z;
}

// z times a matrix: along its rows, and each sum in the order of z.
Vector product(const ReferenceModel& m, const Vector& z, const Matrix& matrix) {
  Vector sum(matrix.cols, 0.0);
  for (std::size_t i = 0; i < z.size(); ++i) {
    const std::size_t row = matrix.begin + i * matrix.cols;
    for (std::size_t j = 0; j < matrix.cols; ++j) sum[j] += z[i] * m.values[row + j];
  }
  return sum;
}

// h_t for t = -1 .. T-1, so states[t + 1] is h_t.
std::vector<Vector> reference_states(const ReferenceModel& m, const Vector& before,
                                     std::span<const float> x) {
  std::vector<Vector> states{before};
  for (; !x.empty(); x = x.subspan(m.size.inputs)) {
    Vector h = product(m, row_of(x.first(m.size.inputs), states.back()), m.recurrent);
    for (double& value : h) value = m.size.cell->define(value);
    states.push_back(std::move(h));
  }
  return states;
}

std::vector<Window> reference_windows(const ReferenceModel& m, const Dataset& data,
                                      std::size_t truncation) {
  std::vector<Window> windows;
  for (std::size_t i = 0; i < data.size(); ++i) {
    const std::size_t passed = data.length(i) - std::min(data.length(i), window_of(truncation));
    const auto x = data.sequence(i);
    const std::size_t cut = passed * data.channels();
    windows.push_back({reference_states(m, Vector(m.size.hidden, 0.0), x.first(cut)).back(),
                       x.subspan(cut), static_cast<std::size_t>(data.label(i))});
  }
  return windows;
}

double reference_loss(const ReferenceModel& m, const std::vector<Window>& windows) {
  double total = 0;
  for (const Window& window : windows) {
    const std::vector<Vector> states = reference_states(m, window.state, window.x);
    Vector y = product(m, row_of({}, states.back()), m.output);
    total += m.head.define(y, window.label);
  }
  return total;
}

// Adds the gradient of a matrix, of which z times it has the gradient `delta`, and returns that of
// z.
Vector add_gradient(const ReferenceModel& m, const Vector& z, const Matrix& matrix,
                    const Vector& delta, Vector& gradient) {
  Vector dz(z.size(), 0.0);
  for (std::size_t i = 0; i < z.size(); ++i) {
    const std::size_t row = matrix.begin + i * matrix.cols;
    for (std::size_t j = 0; j < matrix.cols; ++j) {
      gradient[row + j] += z[i] * delta[j];
      dz[i] += delta[j] * m.values[row + j];
    }
  }
  return dz;
}

// Backpropagation through the window of one sequence, added to `sum`.
void add_reference_gradients(const ReferenceModel& m, const Window& window,
                             ReferenceGradients& sum) {
  const std::vector<Vector> states = reference_states(m, window.state, window.x);
  const Vector last = row_of({}, states.back());
  Vector dy = product(m, last, m.output);
  sum.loss += m.head.define(dy, window.label);
  Vector dz = add_gradient(m, last, m.output, dy, sum.values);
  Vector delta(m.size.hidden);
  for (std::size_t t = states.size() - 1; t-- > 0;) {
    const double* dh = dz.data() + dz.size() - m.size.hidden;
    for (std::size_t j = 0; j < m.size.hidden; ++j) {
      delta[j] = dh[j] * m.size.cell->define_slope(states[t + 1][j]);
    }
    const Vector z = row_of(window.x.subspan(t * m.size.inputs, m.size.inputs), states[t]);
    dz = add_gradient(m, z, m.recurrent, delta, sum.values);
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
