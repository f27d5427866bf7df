#include "train/training_step.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <functional>

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

// Sequences that a leaf has at least, if the minibatch has as many.
std::size_t leaf_rows(std::span<const LayerSize> sizes, const Options& options) {
  if (options.leaf_rows > 0) return options.leaf_rows;
  return has_small_weights(sizes) ? kLeafRows : kLargeLeafRows;
}

// Sums that wait at a time for their other half, where these leaves are run in parts.
std::size_t waiting_sums(Range leaves, std::size_t most_leaves) {
  std::vector<Range> waiting;
  std::size_t most = 0;
  while (leaves.size() > 0) {
    Range sum = first_subtree(leaves, most_leaves);
    leaves.begin = sum.end;
    for (; !waiting.empty() && are_halves(waiting.back(), sum); waiting.pop_back()) {
      sum.begin = waiting.back().begin;
    }
    if (leaves.size() > 0) waiting.push_back(sum);
    most = std::max(most, waiting.size());
  }
  return most;
}

// Of minibatches of up to `leaves` leaves, the leaves that a rank takes at once.
std::size_t leaves_at_once(const Ranks* ranks, std::size_t leaves, std::size_t in_memory) {
  return std::min(in_memory, std::bit_floor(GradientSum::most_own_leaves(ranks, leaves)));
}

// Timesteps in the windows of the leaves that a rank takes at once. Of leaves that the sequences
// are dealt to by falling length, a number of them has that share of all timesteps, and at most one
// longest sequence each more.
std::size_t own_window_timesteps(const MinibatchSize& largest, std::size_t leaf_rows,
                                 const Ranks* ranks, std::size_t window) {
  const std::size_t all = largest.window_timesteps;
  if (ranks == nullptr || ranks->size() == 1) return all;
  const std::size_t steps = std::min(window, largest.steps);
  std::size_t most = 0;
  const std::size_t most_leaves = leaf_count(leaf_rows, largest.rows);
  for (std::size_t leaves = 1; leaves <= most_leaves; leaves *= 2) {
    const std::size_t own = leaves_at_once(ranks, leaves, leaves);
    const std::size_t rows = std::min(largest.rows, 2 * leaves * leaf_rows - 1);
    const std::size_t timesteps = std::min(all, rows * steps);
    most = std::max(most, own * steps + (timesteps * own + leaves - 1) / leaves);
  }
  return std::min(all, most);
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

std::size_t rows_of_leaf(std::size_t leaf_rows, const MinibatchSize& largest) {
  return leaf_rows > largest.rows / 2 ? largest.rows : 2 * leaf_rows;
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
                                 const MinibatchSize& largest, std::size_t rows, std::size_t window,
                                 std::size_t segment_rows) {
  const std::size_t steps = std::min(window, largest.steps);
  return {.purpose = Purpose::training,
          .rows = rows,
          .steps = largest.steps,
          .window = window,
          .together = timesteps_together(weights, rows),
          .segment_rows = segment_rows,
          .saved_rows = saved_rows(sizes, rows, steps, segment_rows)};
}

WindowTimesteps window_timesteps(std::size_t all, std::size_t leaves, std::size_t segment_rows) {
  const bool is_divided = segment_rows > 0;
  return {.all = all, .kept = is_divided ? leaves * segment_rows : all, .is_divided = is_divided};
}

}  // namespace

std::size_t leaf_rows_of(const Network& network, const Options& options) {
  return leaf_rows(layer_sizes(network), options);
}

std::size_t leaf_count(std::size_t leaf_rows, std::size_t rows) {
  std::size_t count = 1;
  while (rows / 2 / count >= leaf_rows) count *= 2;
  return count;
}

std::size_t rows_at_once(const Network& network, const Options& options) {
  if (options.accumulate == 1) return options.batch_size;
  const std::vector<LayerSize> sizes = layer_sizes(network);
  const std::size_t rows = leaf_rows(sizes, options);
  const std::size_t leaves = leaf_count(rows, options.batch_size);
  return std::max(options.batch_size, leaves * (2 * rows - 1));
}

std::size_t parts_of(const Options& options, std::size_t sequences) {
  const std::size_t most = (sequences + options.batch_size - 1) / options.batch_size;
  return std::clamp<std::size_t>(most, 1, options.accumulate);
}

std::size_t segment_rows_of(const Network& network, const MinibatchSize& largest,
                            const Options& options, std::size_t segments) {
  const std::vector<LayerSize> sizes = layer_sizes(network);
  const std::size_t most = rows_of_leaf(leaf_rows(sizes, options), largest);
  const std::size_t steps = std::min(window_of(options.truncate), largest.steps);
  std::size_t wanted = (steps / segments + 2) * most;
  for (std::size_t rows = 1; rows <= most; ++rows) {
    wanted = std::max(wanted, (least_segment_steps(sizes, rows) + 1) * rows);
  }
  return wanted < steps * most ? wanted : 0;
}

TrainingStep::TrainingStep(Workspace& workspace, const Network& network,
                           const MinibatchSize& largest, const LossSettings& settings,
                           std::size_t parts, std::size_t segment_rows, Ranks* ranks)
    : sizes_(layer_sizes(network)),
      settings_(settings),
      window_(window_of(settings.options.truncate)),
      segment_rows_(segment_rows),
      leaf_rows_(leaf_rows(sizes_, settings.options)),
      most_leaves_(leaf_count(leaf_rows_, largest.rows * parts)),
      dropout_(settings.options),
      weights_(workspace, network, Purpose::training),
      ordered_(workspace.take<std::size_t>(largest.rows * parts)),
      gradient_(workspace.take<float>(parameter_count(network))),
      row_squares_(workspace.take<double>(rows_of_gradients(sizes_, network))),
      ranks_sum_(workspace, network, ranks, most_leaves_),
      leaf_numbers_(workspace.take<double>(most_leaves_ * kLeafNumbers)) {
  const std::size_t in_memory =
      leaves_at_once(ranks, most_leaves_, leaf_count(leaf_rows_, largest.rows));
  const std::size_t timesteps = parts > 1
                                    ? largest.window_timesteps
                                    : own_window_timesteps(largest, leaf_rows_, ranks, window_);
  windows_ = take_windows(workspace, network, Purpose::training,
                          window_timesteps(timesteps, in_memory, segment_rows));
  leaves_ = workspace.take_objects(in_memory, [&] {
    return NetworkPass(workspace, network,
                       limits_of(weights_, sizes_, largest, rows_of_leaf(leaf_rows_, largest),
                                 window_, segment_rows),
                       &dropout_, &settings_);
  });
  gradients_ = workspace.take<MatrixView>(tensor_count(sizes_) * in_memory);
  first_rows_.resize(in_memory);
  std::size_t waiting = 0;
  for (std::size_t leaves = 1; leaves <= most_leaves_; leaves *= 2) {
    waiting = std::max(waiting, waiting_sums(ranks_sum_.own_leaves(leaves), in_memory));
  }
  subtree_sums_ = workspace.take<float>(waiting * parameter_count(network));
  subtrees_.reserve(waiting + 1);
}

void TrainingStep::begin(const Dataset& data, std::span<const std::size_t> minibatch,
                         std::uint64_t update) {
  dropout_.begin_update(update);
  const std::span<std::size_t> ordered = ordered_.first(minibatch.size());
  std::ranges::copy(minibatch, ordered.begin());
  order_by_length(data, ordered);
  minibatch_ = ordered;
  all_leaves_ = leaf_count(leaf_rows_, minibatch.size());
  std::ranges::fill(leaf_numbers_.first(all_leaves_ * kLeafNumbers), 0.0);
  notices_ = 0;
  own_leaves_ = ranks_sum_.own_leaves(all_leaves_);
  subtrees_.clear();
  assign_leaves(data, next_part(own_leaves_));
  if (part_ == own_leaves_ && part_.size() > 0) subtrees_.push_back({part_, gradient_.data()});
  begins_early_ = pays_to_begin_early();
}

// Whether the layers below the last section keep the team busy meanwhile, in the last leaf.
bool TrainingStep::pays_to_begin_early() const {
  if (!ranks_sum_.begins_early() || part_ != own_leaves_ || part_.size() == 0) return false;
  const Slices& slices = ranks_sum_.slices();
  const std::size_t first_layer = slices.section(slices.section_count() - 1).first_layer;
  std::size_t weights = 0;
  for (const LayerSize& size : sizes_) {
    if (size.layer < first_layer) weights += size.weights();
  }
  const std::size_t timesteps = leaves_[leaves_in_use_ - 1].schedule.window_rows();
  return 2.0 * static_cast<double>(weights) * static_cast<double>(timesteps) >= kWorkBelow;
}

Range TrainingStep::next_part(Range leaves) const {
  return leaves.size() == 0 ? leaves : first_subtree(leaves, leaves_.size());
}

// A part of the minibatch's leaves.
void TrainingStep::assign_leaves(const Dataset& data, Range part) {
  part_ = part;
  leaves_in_use_ = part.size();
  FirstRows row;
  for (std::size_t i = 0; i < leaves_in_use_; ++i) {
    NetworkPass& leaf = leaves_[i];
    // Dealt one by one, so that every leaf has as many long sequences as the others.
    leaf.schedule.assign(data, minibatch_, part.begin + i, all_leaves_, window_);
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

void TrainingStep::keep_own(const Dataset& data, std::vector<std::size_t>& minibatch) const {
  order_by_length(data, minibatch);
  const std::size_t leaves = leaf_count(leaf_rows_, minibatch.size());
  const Range own = ranks_sum_.own_leaves(leaves);
  std::size_t kept = 0;
  for (std::size_t i = 0; i < minibatch.size(); ++i) {
    const std::size_t leaf = i % leaves;
    if (leaf >= own.begin && leaf < own.end) minibatch[kept++] = minibatch[i];
  }
  minibatch.resize(kept);
}

int TrainingStep::team_size(int threads) const {
  if (leaves_in_use_ == 0) return 1;
  const std::size_t shares =
      has_small_weights(sizes_) ? leaves_in_use_ : std::max(leaves_in_use_, weights_.panels());
  std::size_t timesteps = 0;
  for (std::size_t i = 0; i < leaves_in_use_; ++i) {
    const RowSchedule& schedule = leaves_[i].schedule;
    timesteps += schedule.timesteps() + 2 * schedule.window_rows();
  }
  return useful_threads(weights_.recurrent_weights(), timesteps, shares, threads);
}

void TrainingStep::run(const Parameters& parameters, const Inputs& data, const Team& team,
                       StopRequest* stop, std::uint64_t notices) noexcept {
  weights_.pack(parameters, team);
  team.barrier();
  const bool skips = (notices & Notice::kStop) != 0;
  const bool has_sums = !skips && run_leaves(data, team, stop);
  if (!ranks_sum_.is_shared()) {
    if (has_sums && part_ != own_leaves_) square_rows(team);
    return;
  }
  if (!has_sums) {
    // Other ranks wait for as many sums of this one, whatever is in them.
    if (team.index() == 0) fill_subtrees();
    team.barrier();
  }
  ranks_sum_.add(subtrees_, all_leaves_, gradient_, team);
  square_rows(team);
  if (team.index() == 0) {
    note_totals();
    notices_ = notices | (has_sums ? 0 : std::uint64_t{Notice::kStop}) |
               (stop != nullptr && stop->has_failed() ? std::uint64_t{Notice::kFail} : 0);
    ranks_sum_.gather(row_squares_, leaf_numbers_, all_leaves_, notices_);
  }
  team.barrier();
}

// False if `stop` has come.
bool TrainingStep::run_leaves(const Inputs& data, const Team& team, StopRequest* stop) {
  if (leaves_in_use_ == 0) return stop == nullptr || !stop->is_there_for_all(team);
  while (true) {
    // The backward pass follows at once, while the states of the leaf are still in cache. The
    // leaves of a thread use the same memory one after another, that of the first, so that it stays
    // there.
    const Range mine = my_leaves(team);
    const FirstRows first = first_rows_[mine.begin];
    const Slices& slices = ranks_sum_.slices();
    std::size_t sections =
        begins_early_ ? slices.section_count() : 1;  // that this thread has yet to add
    const auto on_layer = [&](std::size_t layer) {
      if (sections == 1 || layer != slices.section(sections - 1).first_layer) return;
      add_section_early(--sections, team);
    };
    const std::function<void(std::size_t)> on_layer_of_last = std::ref(on_layer);
    const std::function<void(std::size_t)> nothing;
    const auto run_leaf = [&](NetworkPass& leaf, const Team& t) {
      if (t.size() == 1) leaf.keep_windows_in(windows_, first);
      leaf.forward(data, weights_, t);
      const bool is_last = &leaf == &leaves_[mine.end - 1];
      leaf.backward(data, weights_, t, is_last ? on_layer_of_last : nothing);
    };
    for_my_leaves(team, run_leaf, stop);
    while (sections > 1) add_section_early(--sections, team);
    add_leaves({0, begins_early_ ? slices.section(0).rows.end : row_squares_.size()}, team);
    if (stop != nullptr && stop->has_come()) return false;
    if (part_ == own_leaves_) return true;
    const bool is_last = part_.end == own_leaves_.end;
    add_to_subtrees(team);
    if (is_last) return true;
    if (team.index() == 0) {
      note_totals();
      assign_leaves(data.data, next_part({part_.end, own_leaves_.end}));
    }
    team.barrier();
  }
}

// Adds the sum of a part to those before it whose other half it is, and so on, and keeps it for the
// parts behind it. Threads share the rows of all tensors.
void TrainingStep::add_to_subtrees(const Team& team) {
  const Range mine = share(gradient_.size(), team.index(), team.size());
  Range leaves = part_;
  std::size_t kept = subtrees_.size();
  for (; kept > 0 && are_halves(subtrees_[kept - 1].leaves, leaves); --kept) {
    const float* left = subtrees_[kept - 1].sum;
    for (std::size_t i = mine.begin; i < mine.end; ++i) gradient_[i] = left[i] + gradient_[i];
    leaves.begin = subtrees_[kept - 1].leaves.begin;
  }
  float* sum = gradient_.data();
  if (part_.end != own_leaves_.end) {
    sum = subtree_sums_.data() + kept * gradient_.size();
    std::copy_n(gradient_.data() + mine.begin, mine.size(), sum + mine.begin);
  }
  team.barrier();
  if (team.index() == 0) {
    subtrees_.resize(kept);
    subtrees_.push_back({leaves, sum});
  }
  team.barrier();
}

// As many as there would be.
void TrainingStep::fill_subtrees() {
  subtrees_.clear();
  for (Range left = own_leaves_; left.size() > 0;) {
    const Range subtree = first_subtree(left, left.size());
    subtrees_.push_back({subtree, gradient_.data()});
    left.begin = subtree.end;
  }
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

// Adds the leaves' gradients of a section, which all threads have found, and lets them travel.
void TrainingStep::add_section_early(std::size_t section, const Team& team) {
  add_leaves(ranks_sum_.slices().section(section).rows, team);
  if (team.index() != 0) return;
  ranks_sum_.begin_section(section, {part_, gradient_.data()}, all_leaves_, gradient_);
}

// Of these rows of all tensors, which threads share. A barrier before and after.
void TrainingStep::add_leaves(Range rows, const Team& team) {
  team.barrier();
  const Range part = share(rows.size(), team.index(), team.size());
  const Range mine{rows.begin + part.begin, rows.begin + part.end};
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

// Of this rank's slices; a barrier behind.
void TrainingStep::square_rows(const Team& team) {
  const Slices& slices = ranks_sum_.slices();
  for (std::size_t s = 0; s < slices.section_count(); ++s) {
    const Range rows = ranks_sum_.rows(s);
    const Range mine = share(rows.size(), team.index(), team.size());
    for (std::size_t row = rows.begin + mine.begin; row < rows.begin + mine.end; ++row) {
      const std::size_t first = slices.first_of(row);
      row_squares_[row] =
          sum_of_squares<kNormSums>(gradient_.data() + first, slices.first_of(row + 1) - first);
    }
  }
  team.barrier();
}

// Of the leaves in memory.
void TrainingStep::note_totals() {
  for (std::size_t leaf = part_.begin; leaf < part_.end; ++leaf) {
    const Totals found = totals_of(leaf);
    const std::array<double, kLeafNumbers> numbers = {found.loss.loss,
                                                      found.loss.weight,
                                                      found.loss.right,
                                                      found.loss.targets,
                                                      static_cast<double>(found.timesteps),
                                                      static_cast<double>(found.window_timesteps)};
    std::ranges::copy(numbers, leaf_numbers_.subspan(leaf * kLeafNumbers).begin());
  }
}

TrainingStep::Totals TrainingStep::totals_of(std::size_t leaf) const {
  if (leaf >= part_.begin && leaf < part_.end) {
    const NetworkPass& pass = leaves_[leaf - part_.begin];
    return {pass.output.totals(), pass.schedule.timesteps(), pass.schedule.window_rows()};
  }
  const std::span<const double> of = leaf_numbers_.subspan(leaf * kLeafNumbers, kLeafNumbers);
  return {{of[0], of[1], of[2], of[3]},
          static_cast<std::size_t>(of[4]),
          static_cast<std::size_t>(of[5])};
}

TrainingStep::Totals TrainingStep::totals() const {
  Totals sum;
  for (std::size_t leaf = 0; leaf < all_leaves_; ++leaf) {
    const Totals found = totals_of(leaf);
    sum.loss.loss += found.loss.loss;
    sum.loss.weight += found.loss.weight;
    sum.loss.right += found.loss.right;
    sum.loss.targets += found.loss.targets;
    sum.timesteps += found.timesteps;
    sum.window_timesteps += found.window_timesteps;
  }
  return sum;
}

}  // namespace lockstep
