#include "train/training_step.h"

#include <algorithm>
#include <cmath>

#include "definition.h"
#include "network/tensors.h"
#include "tuning.h"

namespace lockstep {
namespace {

std::size_t largest_weight_bytes(std::span<const LayerSize> sizes) {
  std::size_t most = 0;
  for (const LayerSize& size : sizes) most = std::max(most, size.weight_bytes());
  return most;
}

// A leaf computes one direction of a layer after another.
bool has_small_weights(std::span<const LayerSize> sizes) {
  return largest_weight_bytes(sizes) <= kSmallWeights;
}

std::size_t leaf_rows(std::span<const LayerSize> sizes) {
  return has_small_weights(sizes) ? kLeafRows : kLargeLeafRows;
}

std::size_t leaf_count(std::span<const LayerSize> sizes, std::size_t rows) {
  std::size_t count = 1;
  while (rows >= 2 * count * leaf_rows(sizes)) count *= 2;
  return count;
}

// Levels of the tree behind that of a part, of a minibatch of at most `parts` parts.
std::size_t levels_of(std::size_t parts) {
  std::size_t levels = 0;
  while (parts > std::size_t{1} << levels) ++levels;
  // Leaves of the whole can be smaller than those of its parts.
  return parts == 1 ? 0 : levels + 1;
}

// b, Wx, Wh of each direction; by, Wy.
std::size_t tensor_count(std::span<const LayerSize> sizes) {
  return kTensorsOfLayer * sizes.size() + 2;
}

std::size_t rows_of_gradients(std::span<const LayerSize> sizes, const Network& network) {
  std::size_t rows = 1 + network.layers.back().outputs();
  for (const LayerSize& size : sizes) rows += size.rows();
  return rows;
}

// One row of a tensor's gradient: of the leaves, a power of two, neighbours are added, then
// neighbouring sums, until one is left. Returns its sum of squares.
double add_row(std::span<const MatrixView> leaves, std::size_t row, float* result) {
  const auto row_of = [&](std::size_t leaf) {
    return leaves[leaf].data + row * leaves[leaf].stride;
  };
  const std::size_t n = leaves[0].cols;
  std::size_t step = 1;
  for (; 2 * step < leaves.size(); step *= 2) {
    for (std::size_t i = 0; i < leaves.size(); i += 2 * step) {
      float* sum = row_of(i);
      const float* other = row_of(i + step);
      for (std::size_t j = 0; j < n; ++j) sum[j] += other[j];
    }
  }
  const float* sum = row_of(0);
  if (leaves.size() == 1) {
    std::copy_n(sum, n, result);
  } else {
    const float* other = row_of(step);
    for (std::size_t j = 0; j < n; ++j) result[j] = sum[j] + other[j];
  }
  return sum_of_squares<kNormSums>(result, n);
}

std::size_t rows_of_leaf(std::span<const LayerSize> sizes, const MinibatchSize& largest) {
  return std::min(largest.rows, 2 * leaf_rows(sizes));
}

// Of any leaf, the states from which its segments begin.
std::size_t saved_rows(std::span<const LayerSize> sizes, std::size_t most_rows,
                       std::size_t window_steps, std::size_t segment_rows) {
  std::size_t most = 0;
  for (std::size_t rows = 1; rows <= most_rows && segment_rows > 0; ++rows) {
    const std::size_t steps = segment_steps(sizes, rows, segment_rows);
    most = std::max(most, (window_steps + steps - 1) / steps * rows);
  }
  return most;
}

RecurrentLayer::Limits limits_of(const PackedNetwork& weights, std::span<const LayerSize> sizes,
                                 const MinibatchSize& largest, std::size_t window,
                                 std::size_t segment_rows) {
  const std::size_t rows = rows_of_leaf(sizes, largest);
  const std::size_t steps = std::min(window, largest.steps);
  return {.purpose = Purpose::training,
          .rows = rows,
          .steps = largest.steps,
          .window = window,
          .together = timesteps_together(weights, rows),
          .segment_rows = segment_rows,
          .saved_rows = saved_rows(sizes, rows, steps, segment_rows)};
}

WindowTimesteps window_timesteps(std::span<const LayerSize> sizes, const MinibatchSize& largest,
                                 std::size_t segment_rows) {
  const std::size_t all = largest.window_timesteps;
  const bool is_divided = segment_rows > 0;
  return {.all = all,
          .kept = is_divided ? leaf_count(sizes, largest.rows) * segment_rows : all,
          .is_divided = is_divided};
}

}  // namespace

std::size_t rows_at_once(const Network& network, const Options& options) {
  if (options.accumulate == 1) return options.batch_size;
  const std::vector<LayerSize> sizes = layer_sizes(network);
  const std::size_t leaves = leaf_count(sizes, options.batch_size);
  return std::max(options.batch_size, leaves * (2 * leaf_rows(sizes) - 1));
}

std::size_t parts_of(const Options& options, std::size_t sequences) {
  const std::size_t most = (sequences + options.batch_size - 1) / options.batch_size;
  return std::clamp<std::size_t>(most, 1, options.accumulate);
}

std::size_t segment_rows_of(const Network& network, const MinibatchSize& largest,
                            std::size_t window, std::size_t segments) {
  const std::vector<LayerSize> sizes = layer_sizes(network);
  const std::size_t most = rows_of_leaf(sizes, largest);
  const std::size_t steps = std::min(window, largest.steps);
  std::size_t wanted = (steps / segments + 2) * most;
  for (std::size_t rows = 1; rows <= most; ++rows) {
    wanted = std::max(wanted, (least_segment_steps(sizes, rows) + 1) * rows);
  }
  return wanted < steps * most ? wanted : 0;
}

TrainingStep::TrainingStep(Workspace& workspace, const Network& network,
                           const MinibatchSize& largest, const LossSettings& settings,
                           std::size_t parts, std::size_t segment_rows)
    : sizes_(layer_sizes(network)),
      settings_(settings),
      window_(window_of(settings.options.truncate)),
      segment_rows_(segment_rows),
      dropout_(settings.options),
      weights_(workspace, network, Purpose::training),
      windows_(take_windows(workspace, network, Purpose::training,
                            window_timesteps(sizes_, largest, segment_rows))),
      ordered_(workspace.take<std::size_t>(largest.rows * parts)),
      gradient_(workspace.take<float>(parameter_count(network))),
      row_squares_(workspace.take<double>(rows_of_gradients(sizes_, network))),
      leaves_(workspace.take_objects(leaf_count(sizes_, largest.rows),
                                     [&] {
                                       return NetworkPass(workspace, network,
                                                          limits_of(weights_, sizes_, largest,
                                                                    window_, segment_rows),
                                                          &dropout_, &settings_);
                                     })),
      gradients_(
          workspace.take<MatrixView>(tensor_count(sizes_) * leaf_count(sizes_, largest.rows))),
      first_rows_(leaves_.size()),
      part_sums_(workspace.take<float>(levels_of(parts) * parameter_count(network))) {}

void TrainingStep::begin(const Dataset& data, std::span<const std::size_t> minibatch,
                         std::uint64_t update) {
  dropout_.begin_update(update);
  const std::span<std::size_t> ordered = ordered_.first(minibatch.size());
  std::ranges::copy(minibatch, ordered.begin());
  order_by_length(data, ordered);
  minibatch_ = ordered;
  all_leaves_ = leaf_count(sizes_, minibatch.size());
  done_ = {};
  assign_leaves(data, 0);
}

// The leaves of a part of the minibatch; both numbers of leaves are powers of two.
void TrainingStep::assign_leaves(const Dataset& data, std::size_t part) {
  leaves_in_use_ = std::min(all_leaves_, leaves_.size());
  FirstRows row;
  for (std::size_t i = 0; i < leaves_in_use_; ++i) {
    NetworkPass& leaf = leaves_[i];
    // Dealt one by one, so that every leaf has as many long sequences as the others.
    leaf.schedule.assign(data, minibatch_, part * leaves_in_use_ + i, all_leaves_, window_);
    leaf.divide_window();
    leaf.keep_windows_in(windows_, row);
    first_rows_[i] = row;
    row.of_all += leaf.schedule.window_rows();
    row.of_kept = segment_rows_ == 0 ? row.of_all : (i + 1) * segment_rows_;
  }
  for (std::size_t tensor = 0; tensor < tensor_count(sizes_); ++tensor) {
    const std::span<MatrixView> gradients = gradients_of(tensor);
    for (std::size_t i = 0; i < leaves_in_use_; ++i) gradients[i] = leaves_[i].gradient(tensor);
  }
}

int TrainingStep::team_size(int threads) const {
  const std::size_t shares =
      has_small_weights(sizes_) ? leaves_in_use_ : std::max(leaves_in_use_, weights_.panels());
  const Totals all = totals();
  return useful_threads(weights_.recurrent_weights(), all.timesteps + 2 * all.window_timesteps,
                        shares, threads);
}

void TrainingStep::run(const Parameters& parameters, const Inputs& data, const Team& team,
                       StopRequest* stop) noexcept {
  weights_.pack(parameters, team);
  team.barrier();
  const std::size_t parts = all_leaves_ / leaves_in_use_;
  for (std::size_t part = 0; part < parts; ++part) {
    if (part > 0) {
      if (team.index() == 0) {
        done_ = totals();
        assign_leaves(data.data, part);
      }
      team.barrier();
    }
    // The backward pass follows at once, while the states of the leaf are still in cache. The
    // leaves of a thread use the same memory one after another, that of the first, so that it stays
    // there.
    const FirstRows first = first_rows_[my_leaves(team).begin];
    const auto run_leaf = [&](NetworkPass& leaf, const Team& t) {
      if (t.size() == 1) leaf.keep_windows_in(windows_, first);
      leaf.forward(data, weights_, t);
      leaf.backward(data, weights_, t);
    };
    for_my_leaves(team, run_leaf, stop);
    add_leaves(team);
    if (stop != nullptr && stop->has_come()) return;
    if (parts > 1) add_parts(part, team);
  }
  if (parts == 1) return;
  if (team.index() == 0) square_rows();
  team.barrier();
}

// Carries the sum of a part up the tree, as far as its left neighbours are done: of two neighbours
// the right one is added to the left. Threads share the rows of all tensors.
void TrainingStep::add_parts(std::size_t part, const Team& team) {
  const Range mine = share(gradient_.size(), team.index(), team.size());
  std::size_t level = 0;
  for (; (part >> level) % 2 == 1; ++level) {
    const float* left = part_sums_.data() + level * gradient_.size();
    for (std::size_t i = mine.begin; i < mine.end; ++i) gradient_[i] = left[i] + gradient_[i];
  }
  if ((level + 1) * gradient_.size() <= part_sums_.size()) {
    float* sum = part_sums_.data() + level * gradient_.size();
    std::copy(gradient_.begin() + static_cast<std::ptrdiff_t>(mine.begin),
              gradient_.begin() + static_cast<std::ptrdiff_t>(mine.end), sum + mine.begin);
  }
  team.barrier();
}

void TrainingStep::forward(const Parameters& parameters, const Inputs& data,
                           const Team& team) noexcept {
  weights_.pack(parameters, team);
  team.barrier();
  for_my_leaves(team, [&](NetworkPass& leaf, const Team& t) { leaf.forward(data, weights_, t); });
}

void TrainingStep::backward(const Inputs& data, const Team& team) noexcept {
  for_my_leaves(team, [&](NetworkPass& leaf, const Team& t) { leaf.backward(data, weights_, t); });
  add_leaves(team);
}

// Whether threads take leaves of their own; otherwise all share the columns of one leaf after
// another.
bool TrainingStep::shares_leaves(int team_size) const {
  const auto threads = static_cast<std::size_t>(team_size);
  if (leaves_in_use_ == 1) return false;
  return has_small_weights(sizes_) || leaves_in_use_ % threads == 0 ||
         leaves_in_use_ >= kLeavesPerThread * threads;
}

Range TrainingStep::my_leaves(const Team& team) const {
  if (!shares_leaves(team.size())) return {0, leaves_in_use_};
  return share(leaves_in_use_, team.index(), team.size());
}

template <class Work>
void TrainingStep::for_my_leaves(const Team& team, const Work& work, StopRequest* stop) {
  const bool own = shares_leaves(team.size());
  const Range mine = my_leaves(team);
  for (std::size_t i = mine.begin; i < mine.end; ++i) {
    if (stop != nullptr && (own ? stop->is_there(team) : stop->is_there_for_all(team))) return;
    work(leaves_[i], own ? Team() : team);
  }
}

// A barrier before and after. Threads share the rows of all tensors.
void TrainingStep::add_leaves(const Team& team) {
  team.barrier();
  const Range mine = share(row_squares_.size(), team.index(), team.size());
  float* result = gradient_.data();
  std::size_t first = 0;
  for (std::size_t tensor = 0; tensor < tensor_count(sizes_); ++tensor) {
    const std::span<const MatrixView> leaves = gradients_of(tensor);
    const std::size_t end = first + leaves[0].rows;
    for (std::size_t i = std::max(mine.begin, first); i < std::min(mine.end, end); ++i) {
      row_squares_[i] = add_row(leaves, i - first, result + (i - first) * leaves[0].cols);
    }
    result += leaves[0].rows * leaves[0].cols;
    first = end;
  }
  team.barrier();
}

double TrainingStep::gradient_norm() const {
  double sum = 0;
  for (const double square : row_squares_) sum += square;
  return std::sqrt(sum);
}

void TrainingStep::square_rows() {
  const float* row = gradient_.data();
  std::size_t number = 0;
  for (std::size_t tensor = 0; tensor < tensor_count(sizes_); ++tensor) {
    const MatrixView& shape = gradients_of(tensor)[0];
    for (std::size_t i = 0; i < shape.rows; ++i, row += shape.cols) {
      row_squares_[number++] = sum_of_squares<kNormSums>(row, shape.cols);
    }
  }
}

TrainingStep::Totals TrainingStep::totals() const {
  Totals sum = done_;
  for (std::size_t i = 0; i < leaves_in_use_; ++i) {
    const NetworkPass& leaf = leaves_[i];
    const LossTotals& found = leaf.output.totals();
    sum.loss.loss += found.loss;
    sum.loss.weight += found.weight;
    sum.loss.right += found.right;
    sum.loss.targets += found.targets;
    sum.timesteps += leaf.schedule.timesteps();
    sum.window_timesteps += leaf.schedule.window_rows();
  }
  return sum;
}

}  // namespace lockstep
