#include "train/training_step.h"

#include <algorithm>
#include <cmath>

#include "definition.h"
#include "network/tensors.h"
#include "tuning.h"

namespace lockstep {
namespace {

bool has_small_weights(const LayerSize& size) { return size.weight_bytes() <= kSmallWeights; }

std::size_t leaf_rows(const LayerSize& size) {
  return has_small_weights(size) ? kLeafRows : kLargeLeafRows;
}

std::size_t leaf_count(const LayerSize& size, std::size_t rows) {
  std::size_t count = 1;
  while (rows >= 2 * count * leaf_rows(size)) count *= 2;
  return count;
}

std::size_t max_leaf_rows(const LayerSize& size, std::size_t max_rows) {
  return std::min(max_rows, 2 * leaf_rows(size));
}

// Sum of squares over a fixed number of partial sums, so that it vectorises and still has one
// order.
double sum_of_squares(const float* x, std::size_t n) {
  double sums[kNormSums] = {};
  std::size_t i = 0;
  for (; i + kNormSums <= n; i += kNormSums) {
    for (std::size_t l = 0; l < kNormSums; ++l) {
      const auto v = static_cast<double>(x[i + l]);
      sums[l] += v * v;
    }
  }
  for (std::size_t l = 0; i < n; ++i, ++l) {
    const auto v = static_cast<double>(x[i]);
    sums[l] += v * v;
  }
  double total = 0;
  for (const double s : sums) total += s;
  return total;
}

RecurrentLayer::Limits limits_of(const LayerSize& size, const MinibatchSize& largest,
                                 std::size_t window, bool fused) {
  const std::size_t rows = max_leaf_rows(size, largest.rows);
  return {.rows = rows,
          .window = std::min(largest.steps, window),
          .has_passing = largest.steps > window,
          .together = timesteps_together(size, rows, fused),
          .has_way_back = true};
}

}  // namespace

TrainingStep::Leaf::Leaf(Workspace& workspace, const Network& network, const MinibatchSize& largest,
                         std::size_t window, bool fused)
    : schedule(workspace, max_leaf_rows(LayerSize(network), largest.rows),
               std::min(largest.steps, window)),
      layer(workspace, LayerSize(network), limits_of(LayerSize(network), largest, window, fused)),
      output(workspace, network, max_leaf_rows(LayerSize(network), largest.rows), true) {}

void TrainingStep::Leaf::forward(const TrainingStep& step, const Dataset& data, const Team& team) {
  layer.forward(data, schedule, step.m_->layer, team);
  output.forward(schedule, layer, step.m_->output, team);
  team.barrier();
  if (team.index() == 0) output.find_loss(data, schedule, step.m_->output.head());
}

void TrainingStep::Leaf::backward(const TrainingStep& step, const Team& team) {
  if (team.index() == 0) output.backward(schedule, layer, step.m_->output);
  team.barrier();
  layer.backward(schedule, step.m_->layer, team);
}

TrainingStep::Memory::Memory(Workspace& workspace, const Network& network,
                             const MinibatchSize& largest, std::size_t window)
    : layer(workspace, LayerSize(network), true),
      output(workspace, network, true),
      rows(take_rows(workspace, layer.size().layout(), largest.window_timesteps)),
      ordered(workspace.take<std::size_t>(largest.rows)),
      gradient(workspace.take<float>(parameter_count(network))),
      row_squares(workspace.take<double>(layer.size().rows() + 1 + layer.size().hidden)),
      leaves(workspace.take_objects(leaf_count(layer.size(), largest.rows), [&] {
        return Leaf(workspace, network, largest, window, layer.fused());
      })) {}

TrainingStep::TrainingStep(const Network& network, const MinibatchSize& largest, std::size_t window)
    : hidden_(network.layers.back().hidden),
      layer_rows_(LayerSize(network).rows()),
      outputs_(network.outputs),
      window_(window),
      m_(network, largest, window) {}

std::size_t TrainingStep::bytes_for(const Network& network, const MinibatchSize& largest,
                                    std::size_t window) {
  return WithMemory<Memory>::bytes_for(network, largest, window);
}

void TrainingStep::begin(const Dataset& data, std::span<const std::size_t> minibatch) {
  const std::span<std::size_t> ordered = m_->ordered.first(minibatch.size());
  std::ranges::copy(minibatch, ordered.begin());
  order_by_length(data, ordered);
  // Dealt one by one, so that every leaf has as many long sequences as the others.
  leaves_in_use_ = leaf_count(m_->layer.size(), minibatch.size());
  float* rows = m_->rows.data();
  for (std::size_t i = 0; i < leaves_in_use_; ++i) {
    Leaf& leaf = m_->leaves[i];
    leaf.schedule.assign(data, ordered, i, leaves_in_use_, window_);
    leaf.layer.keep_window_at(rows);
    rows += leaf.schedule.window_rows() * m_->layer.size().layout().stride;
  }
}

int TrainingStep::team_size(int threads) const {
  const LayerSize& size = m_->layer.size();
  const std::size_t shares =
      has_small_weights(size) ? leaves_in_use_ : std::max(leaves_in_use_, m_->layer.panels());
  const Totals all = totals();
  return useful_threads(size, all.timesteps + 2 * all.window_timesteps, shares, threads);
}

void TrainingStep::run(const Parameters& parameters, const Dataset& data,
                       const Team& team) noexcept {
  pack(parameters, team);
  team.barrier();
  // Both ways of a leaf at once: its states are still in cache on the way back. The leaves of a
  // thread use the same memory one after another, that of the first, so that it stays there too.
  float* memory = nullptr;
  for_my_leaves(team, [&](Leaf& leaf, const Team& t) {
    if (t.size() == 1) {
      if (memory == nullptr) memory = leaf.layer.window();
      leaf.layer.keep_window_at(memory);
    }
    leaf.forward(*this, data, t);
    leaf.backward(*this, t);
  });
  add_leaves(team);
}

void TrainingStep::forward(const Parameters& parameters, const Dataset& data,
                           const Team& team) noexcept {
  pack(parameters, team);
  team.barrier();
  for_my_leaves(team, [&](Leaf& leaf, const Team& t) { leaf.forward(*this, data, t); });
}

void TrainingStep::backward(const Team& team) noexcept {
  for_my_leaves(team, [&](Leaf& leaf, const Team& t) { leaf.backward(*this, t); });
  add_leaves(team);
}

// Whether threads take leaves of their own; otherwise all share the columns of one leaf after
// another.
bool TrainingStep::shares_leaves(int team_size) const {
  const auto threads = static_cast<std::size_t>(team_size);
  if (leaves_in_use_ == 1) return false;
  return has_small_weights(m_->layer.size()) || leaves_in_use_ % threads == 0 ||
         leaves_in_use_ >= kLeavesPerThread * threads;
}

template <class Work>
void TrainingStep::for_my_leaves(const Team& team, const Work& work) {
  const bool own = shares_leaves(team.size());
  const Range mine =
      own ? share(leaves_in_use_, team.index(), team.size()) : Range{0, leaves_in_use_};
  for (std::size_t i = mine.begin; i < mine.end; ++i) work(m_->leaves[i], own ? Team() : team);
}

void TrainingStep::pack(const Parameters& parameters, const Team& team) {
  m_->layer.pack(parameters.values().first(layer_floats()), team);
  m_->output.pack(parameters.values().subspan(layer_floats()), team);
}

// A barrier before and after.
void TrainingStep::add_leaves(const Team& team) {
  team.barrier();
  const Range mine = share(m_->row_squares.size(), team.index(), team.size());
  for (std::size_t i = mine.begin; i < mine.end; ++i) {
    const std::size_t before = std::min(i, layer_rows_);
    float* sum = m_->gradient.data() + before * hidden_ + (i - before) * outputs_;
    m_->row_squares[i] = add_row(i, sum);
  }
  team.barrier();
}

// One row of the gradient: neighbouring leaves are added, then neighbouring sums, until one is
// left. Returns its sum of squares.
double TrainingStep::add_row(std::size_t row, float* result) const {
  const std::size_t n = row < layer_rows_ ? hidden_ : outputs_;
  for (std::size_t step = 1; step < leaves_in_use_; step *= 2) {
    for (std::size_t i = 0; i + step < leaves_in_use_; i += 2 * step) {
      float* sum = row_of(m_->leaves[i], row);
      const float* other = row_of(m_->leaves[i + step], row);
      for (std::size_t j = 0; j < n; ++j) sum[j] += other[j];
    }
  }
  std::copy_n(row_of(m_->leaves[0], row), n, result);
  return sum_of_squares(result, n);
}

float* TrainingStep::row_of(const Leaf& leaf, std::size_t row) const {
  if (row < layer_rows_) return leaf.layer.gradient() + row * leaf.layer.gradient_stride();
  return leaf.output.gradient() + (row - layer_rows_) * leaf.output.gradient_stride();
}

double TrainingStep::gradient_norm() const {
  double sum = 0;
  for (const double square : m_->row_squares) sum += square;
  return std::sqrt(sum);
}

TrainingStep::Totals TrainingStep::totals() const {
  Totals sum;
  for (std::size_t i = 0; i < leaves_in_use_; ++i) {
    const Leaf& leaf = m_->leaves[i];
    sum.loss += leaf.output.loss(leaf.schedule.rows());
    sum.correct += leaf.output.correct();
    sum.timesteps += leaf.schedule.timesteps();
    sum.window_timesteps += leaf.schedule.window_rows();
  }
  return sum;
}

}  // namespace lockstep
