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

RecurrentLayer::Limits limits_of(const PackedLayer& layer, const MinibatchSize& largest,
                                 std::size_t window) {
  const std::size_t rows = std::min(largest.rows, 2 * leaf_rows(layer.size));
  return {.rows = rows,
          .steps = largest.steps,
          .window = window,
          .together = timesteps_together(layer.size, rows, layer.fused)};
}

}  // namespace

TrainingStep::TrainingStep(Workspace& workspace, const Network& network,
                           const MinibatchSize& largest, std::size_t window)
    : size_(network),
      outputs_(network.outputs),
      window_(window),
      weights_(workspace, network, Purpose::training),
      rows_(take_rows(workspace, layout_of(size_), largest.window_timesteps)),
      ordered_(workspace.take<std::size_t>(largest.rows)),
      gradient_(workspace.take<float>(parameter_count(network))),
      row_squares_(workspace.take<double>(size_.rows() + 1 + size_.hidden)),
      leaves_(workspace.take_objects(leaf_count(size_, largest.rows), [&] {
        return NetworkPass(workspace, network, limits_of(weights_.layer, largest, window));
      })) {}

void TrainingStep::begin(const Dataset& data, std::span<const std::size_t> minibatch) {
  const std::span<std::size_t> ordered = ordered_.first(minibatch.size());
  std::ranges::copy(minibatch, ordered.begin());
  order_by_length(data, ordered);
  // Dealt one by one, so that every leaf has as many long sequences as the others.
  leaves_in_use_ = leaf_count(size_, minibatch.size());
  float* rows = rows_.data();
  for (std::size_t i = 0; i < leaves_in_use_; ++i) {
    NetworkPass& leaf = leaves_[i];
    leaf.schedule.assign(data, ordered, i, leaves_in_use_, window_);
    leaf.layer.keep_window_at(rows);
    rows += leaf.schedule.window_rows() * layout_of(size_).stride;
  }
}

int TrainingStep::team_size(int threads) const {
  const std::size_t shares =
      has_small_weights(size_) ? leaves_in_use_ : std::max(leaves_in_use_, weights_.layer.panels());
  const Totals all = totals();
  return useful_threads(size_, all.timesteps + 2 * all.window_timesteps, shares, threads);
}

void TrainingStep::run(const Parameters& parameters, const Dataset& data,
                       const Team& team) noexcept {
  weights_.pack(parameters, team);
  team.barrier();
  // The backward pass follows at once, while the states of the leaf are still in cache. The leaves
  // of a thread use the same memory one after another, that of the first, so that it stays there.
  float* memory = nullptr;
  for_my_leaves(team, [&](NetworkPass& leaf, const Team& t) {
    if (t.size() == 1) {
      if (memory == nullptr) memory = leaf.layer.window();
      leaf.layer.keep_window_at(memory);
    }
    forward(leaf, data, t);
    leaf.backward(weights_, t);
  });
  add_leaves(team);
}

void TrainingStep::forward(const Parameters& parameters, const Dataset& data,
                           const Team& team) noexcept {
  weights_.pack(parameters, team);
  team.barrier();
  for_my_leaves(team, [&](NetworkPass& leaf, const Team& t) { forward(leaf, data, t); });
}

void TrainingStep::backward(const Team& team) noexcept {
  for_my_leaves(team, [&](NetworkPass& leaf, const Team& t) { leaf.backward(weights_, t); });
  add_leaves(team);
}

// Whether threads take leaves of their own; otherwise all share the columns of one leaf after
// another.
bool TrainingStep::shares_leaves(int team_size) const {
  const auto threads = static_cast<std::size_t>(team_size);
  if (leaves_in_use_ == 1) return false;
  return has_small_weights(size_) || leaves_in_use_ % threads == 0 ||
         leaves_in_use_ >= kLeavesPerThread * threads;
}

template <class Work>
void TrainingStep::for_my_leaves(const Team& team, const Work& work) {
  const bool own = shares_leaves(team.size());
  const Range mine =
      own ? share(leaves_in_use_, team.index(), team.size()) : Range{0, leaves_in_use_};
  for (std::size_t i = mine.begin; i < mine.end; ++i) work(leaves_[i], own ? Team() : team);
}

void TrainingStep::forward(NetworkPass& leaf, const Dataset& data, const Team& team) {
  leaf.forward(data, weights_, team);
  team.barrier();
  if (team.index() == 0) leaf.output.find_loss(data, leaf.schedule, weights_.output.head);
}

// A barrier before and after.
void TrainingStep::add_leaves(const Team& team) {
  team.barrier();
  const Range mine = share(row_squares_.size(), team.index(), team.size());
  for (std::size_t i = mine.begin; i < mine.end; ++i) {
    row_squares_[i] = add_row(i, gradient_.data() + offset_of(i));
  }
  team.barrier();
}

// One row of the gradient: of the leaves, a power of two, neighbours are added, then neighbouring
// sums, until one is left. Returns its sum of squares.
double TrainingStep::add_row(std::size_t row, float* result) const {
  const std::size_t n = row < size_.rows() ? size_.columns(row).size() : outputs_;
  std::size_t step = 1;
  for (; 2 * step < leaves_in_use_; step *= 2) {
    for (std::size_t i = 0; i < leaves_in_use_; i += 2 * step) {
      float* sum = row_of(leaves_[i], row);
      const float* other = row_of(leaves_[i + step], row);
      for (std::size_t j = 0; j < n; ++j) sum[j] += other[j];
    }
  }
  const float* sum = row_of(leaves_[0], row);
  if (leaves_in_use_ == 1) {
    std::copy_n(sum, n, result);
  } else {
    const float* other = row_of(leaves_[step], row);
    for (std::size_t j = 0; j < n; ++j) result[j] = sum[j] + other[j];
  }
  return sum_of_squares<kNormSums>(result, n);
}

// Where a row of the gradient begins in Parameters::values.
std::size_t TrainingStep::offset_of(std::size_t row) const {
  if (row == 0) return 0;
  if (row >= size_.rows()) return size_.parameters() + (row - size_.rows()) * outputs_;
  const std::size_t of_inputs = std::min(row - 1, size_.inputs);
  return size_.sums() + of_inputs * size_.input_columns().size() +
         (row - 1 - of_inputs) * size_.state_columns().size();
}

float* TrainingStep::row_of(const NetworkPass& leaf, std::size_t row) const {
  if (row < size_.rows()) {
    return leaf.layer.gradient() + row * leaf.layer.gradient_stride() + size_.columns(row).begin;
  }
  return leaf.output.gradient() + (row - size_.rows()) * leaf.output.gradient_stride();
}

double TrainingStep::gradient_norm() const {
  double sum = 0;
  for (const double square : row_squares_) sum += square;
  return std::sqrt(sum);
}

TrainingStep::Totals TrainingStep::totals() const {
  Totals sum;
  for (std::size_t i = 0; i < leaves_in_use_; ++i) {
    const NetworkPass& leaf = leaves_[i];
    sum.loss += leaf.output.loss(leaf.schedule.rows());
    sum.correct += leaf.output.correct();
    sum.timesteps += leaf.schedule.timesteps();
    sum.window_timesteps += leaf.schedule.window_rows();
  }
  return sum;
}

}  // namespace lockstep
