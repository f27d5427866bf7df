// One training step: follow a minibatch from data to gradients. The forward pass is forward.cc, the
// update of the weights optimizer.cc.
#include "training_step.h"

#include <algorithm>
#include <cmath>

#include "lockstep/backend.h"
#include "lockstep/softmax.h"

namespace lockstep {
namespace {

// A minibatch of `rows` sequences is dealt into groups of kUsefulRows to 2 * kUsefulRows rows
// (all but the smallest), a power of two of them for even shares.
std::size_t group_count(const RnnShape& shape, std::size_t rows) {
  std::size_t count = 1;
  while (stays_in_cache(shape) && rows >= 2 * count * kUsefulRows) count *= 2;
  return count;
}
std::size_t max_group_rows(const RnnShape& shape, std::size_t max_rows) {
  return stays_in_cache(shape) ? std::min(max_rows, 2 * kUsefulRows) : max_rows;
}

// Rows of one product [1, x, h]^T delta: enough to pay for reading and writing the gradient once,
// few enough that both factors are still in cache.
std::size_t gradient_depth(const RnnShape& shape) { return shape.hidden <= 256 ? 128 : 512; }

// Rows of deltas in a block: no more than a minibatch has, no fewer than a timestep can have.
std::size_t delta_rows(const RnnShape& shape, std::size_t max_rows, std::size_t max_steps) {
  return std::max(std::min(gradient_depth(shape), max_rows * max_steps), max_rows);
}

// Of layers that do not stay in cache both factors are copied into the order of the product.
bool packs_factors(const RnnShape& shape) { return !stays_in_cache(shape); }

// Sum of squares over eight partial sums, so that it vectorises and still has one order.
double sum_of_squares(const float* x, std::size_t n) {
  constexpr std::size_t kSums = 8;
  double sums[kSums] = {};
  std::size_t i = 0;
  for (; i + kSums <= n; i += kSums) {
    for (std::size_t l = 0; l < kSums; ++l) {
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

}  // namespace

// The sequences of one group: their states, deltas and gradients.
class TrainingStep::Group {
 public:
  Group(const RnnShape& shape, std::size_t max_rows, std::size_t max_steps, std::size_t window,
        bool fused)
      : forward_(shape, max_rows, std::min(max_steps, window),
                 timesteps_together(shape, max_rows, fused)),
        delta_stride_(round_up(shape.hidden)),
        final_deltas_(max_rows * delta_stride_),
        next_deltas_(max_rows * delta_stride_),
        delta_rows_(delta_rows(shape, max_rows, std::min(max_steps, window))),
        deltas_(delta_rows_ * delta_stride_),
        recurrent_gradient_((1 + shape.features + shape.hidden) * delta_stride_),
        output_gradient_((1 + shape.hidden) * forward_.logits_stride),
        labels_(max_rows),
        losses_(max_rows) {
    if (max_steps > window) forward_.use_passing_rows();
    if (packs_factors(shape)) {
      packed_deltas_ = PackedMatrix(delta_rows_, shape.hidden);
      inputs_.resize((1 + shape.features + shape.hidden) * delta_rows_);
    }
  }

  // Takes every `step`-th sequence from `first` on; Z of the window goes to `rows`. Returns its
  // end.
  float* assign(const Dataset& data, std::span<const std::size_t> ordered, std::size_t first,
                std::size_t step, std::size_t window, float* rows) {
    RowSchedule& schedule = forward_.schedule;
    schedule.assign(data, ordered, first, step, window);
    for (std::size_t n = 0; n < schedule.rows(); ++n) labels_[n] = data.label(schedule.member(n));
    depth_steps_ = std::max<std::size_t>(1, gradient_depth(forward_.shape) / schedule.rows());
    forward_.keep_window_at(rows);
    return rows + schedule.window_rows() * forward_.layout.stride;
  }

  // Z of the window, and other memory for it, prepared likewise.
  [[nodiscard]] float* rows() { return forward_.rows_at(forward_.schedule.window_begin()); }
  void move_rows(float* rows) { forward_.keep_window_at(rows); }

  // States, losses, the gradient of the output layer and the deltas of each sequence's last step.
  void forward(const TrainingStep& step, const Dataset& data, const Team& team) {
    forward_.run(data, step.forward_, team);
    team.barrier();
    if (team.index() == 0) loss_and_output_layer(step.output_transposed_);
    team.barrier();
  }

  // From there back through the window. Reads what `forward` left and changes none of it.
  void backward(const TrainingStep& step, const Team& team) {
    clear(recurrent_gradient_, team);
    const PackedGemmPlan product = delta_product(step.hidden_transposed_, team);
    const std::size_t first = forward_.schedule.window_begin();
    for (std::size_t end = forward_.schedule.steps(); end > first;) {
      const std::size_t begin = end - std::min(end - first, depth_steps_);
      for (std::size_t t = end; t-- > begin;) {
        delta_step(product, t, begin, end, team);
        team.barrier();
      }
      accumulate_weights(begin, end, team);
      keep_first_deltas(begin, team);
      team.barrier();
      end = begin;
    }
  }

  [[nodiscard]] Totals totals() const {
    Totals sum;
    for (std::size_t n = 0; n < forward_.schedule.rows(); ++n) sum.loss += losses_[n];
    sum.correct = correct_;
    sum.timesteps = forward_.schedule.timesteps();
    sum.window_timesteps = forward_.schedule.window_rows();
    return sum;
  }

  [[nodiscard]] const float* recurrent_gradient(std::size_t row) const {
    return recurrent_gradient_.data() + row * delta_stride_;
  }
  [[nodiscard]] const float* output_gradient(std::size_t row) const {
    return output_gradient_.data() + row * forward_.logits_stride;
  }
  // What the constructor takes, and the object itself.
  [[nodiscard]] static std::size_t bytes_for(const RnnShape& shape, std::size_t max_rows,
                                             std::size_t max_steps, std::size_t window) {
    const std::size_t weight_rows = 1 + shape.features + shape.hidden;
    const std::size_t block = delta_rows(shape, max_rows, std::min(max_steps, window));
    const std::size_t floats = (2 * max_rows + block + weight_rows) * round_up(shape.hidden) +
                               (1 + shape.hidden) * round_up(shape.classes);
    const std::size_t factors =
        PackedMatrix::bytes_for(block, shape.hidden) + weight_rows * block * sizeof(float);
    return sizeof(Group) + (packs_factors(shape) ? factors : 0) +
           ForwardGroup::bytes_for(shape, max_rows, std::min(max_steps, window),
                                   timesteps_together(shape, max_rows, active_backend().fused),
                                   max_steps > window) +
           floats * sizeof(float) + max_rows * (sizeof(int) + sizeof(double));
  }

 private:
  static void clear(AlignedVector<float>& gradient, const Team& team) {
    const Range mine = share(gradient.size(), team.index(), team.size());
    std::fill(gradient.data() + mine.begin, gradient.data() + mine.end, 0.0f);
  }

  // From the logits y of every sequence:
  //   d = softmax(y) - onehot(label);  dWy += [1, h_last]^T d;  delta_last = (d Wy^T) * (1 -
  //   h_last^2)
  void loss_and_output_layer(const PackedMatrix& output_transposed) {
    const RnnShape& shape = forward_.shape;
    const RowLayout& finals = forward_.final_layout;
    const std::size_t rows = forward_.schedule.rows();
    const std::size_t stride = forward_.logits_stride;
    float* d = forward_.logits();
    std::fill(output_gradient_.begin(), output_gradient_.end(), 0.0f);
    correct_ = softmax_cross_entropy(rows, shape.classes, d, stride, labels_.data(), d, stride,
                                     losses_.data());
    gemm_accumulate_transposed(shape.classes, rows, forward_.finals() + finals.one, finals.stride,
                               d, stride, output_gradient_.data(), stride, 0, 1 + shape.hidden);
    PackedGemm g;
    g.m = rows;
    g.a = d;
    g.lda = stride;
    g.c = final_deltas_.data();
    g.ldc = delta_stride_;
    g.epilogue = Epilogue::tanh_gradient;
    g.h = forward_.finals() + finals.state;
    g.ldh = finals.stride;
    gemm_packed(g, output_transposed);
  }

  // (delta_{t+1} Wh^T) * (1 - h_t^2), this thread's share of the columns.
  [[nodiscard]] PackedGemmPlan delta_product(const PackedMatrix& hidden_transposed,
                                             const Team& team) const {
    const Range panels = share(hidden_transposed.panels(), team.index(), team.size());
    PackedGemm g;
    g.lda = delta_stride_;
    g.ldc = delta_stride_;
    g.epilogue = Epilogue::tanh_gradient;
    g.ldh = forward_.layout.stride;
    return {g, hidden_transposed, {.first_panel = panels.begin, .last_panel = panels.end}};
  }

  // delta_t from delta_{t+1}; that of the last timestep is known from the output layer.
  void delta_step(const PackedGemmPlan& product, std::size_t t, std::size_t begin, std::size_t end,
                  const Team& team) {
    const RowSchedule& schedule = forward_.schedule;
    const std::size_t active = schedule.active(t);
    float* deltas = deltas_at(t, begin);
    if (t + 1 == schedule.steps()) {
      if (team.index() == 0) std::copy_n(final_deltas_.data(), active * delta_stride_, deltas);
      return;
    }
    const float* next = t + 1 == end ? next_deltas_.data() : deltas_at(t + 1, begin);
    product.run(active, next, nullptr, deltas, forward_.rows_at(t + 1) + forward_.layout.state);
  }

  // [db; dWx; dWh] += [1, x, h]^T delta over the timesteps begin .. end-1 at once.
  void accumulate_weights(std::size_t begin, std::size_t end, const Team& team) {
    const RnnShape& shape = forward_.shape;
    const RowSchedule& schedule = forward_.schedule;
    const Range rows = share(1 + shape.features + shape.hidden, team.index(), team.size());
    const std::size_t depth = schedule.offset(end) - schedule.offset(begin);
    const float* z = forward_.rows_at(begin) + forward_.layout.one + rows.begin;
    float* gradient = recurrent_gradient_.data();
    if (packs_factors(shape)) {
      pack_share(packed_deltas_, Transpose::no, deltas_.data(), delta_stride_, team);
      float* own = inputs_.data() + rows.begin * depth;
      transpose(depth, rows.end - rows.begin, z, forward_.layout.stride, own, depth);
      team.barrier();
      PackedGemm g;
      g.m = rows.end - rows.begin;
      g.a = own;
      g.lda = depth;
      g.c = gradient + rows.begin * delta_stride_;
      g.ldc = delta_stride_;
      g.start = g.c;
      g.start_stride = g.ldc;
      gemm_packed(g, packed_deltas_, {.last_k = depth});
    } else {
      gemm_accumulate_transposed(shape.hidden, depth, z - rows.begin, forward_.layout.stride,
                                 deltas_.data(), delta_stride_, gradient, delta_stride_, rows.begin,
                                 rows.end);
    }
  }

  void keep_first_deltas(std::size_t begin, const Team& team) {
    const std::size_t count = forward_.schedule.active(begin) * delta_stride_;
    if (team.index() == 0) std::copy_n(deltas_.data(), count, next_deltas_.data());
  }

  [[nodiscard]] float* deltas_at(std::size_t t, std::size_t begin) {
    return deltas_.data() +
           (forward_.schedule.offset(t) - forward_.schedule.offset(begin)) * delta_stride_;
  }

  ForwardGroup forward_;
  std::size_t delta_stride_;
  std::size_t depth_steps_ = 1;        // timesteps per product of weight gradients
  AlignedVector<float> final_deltas_;  // [rows][H], of the last timestep
  AlignedVector<float> next_deltas_;   // [rows][H], of the first timestep of the block after this
  std::size_t delta_rows_;
  AlignedVector<float> deltas_;  // [rows of depth_steps_ timesteps][H]
  // If packs_factors: the same, and [1, x, h] of those timesteps, transposed.
  PackedMatrix packed_deltas_;
  AlignedVector<float> inputs_;
  AlignedVector<float> recurrent_gradient_;
  AlignedVector<float> output_gradient_;
  std::vector<int> labels_;
  std::vector<double> losses_;
  std::size_t correct_ = 0;
};

TrainingStep::TrainingStep(const RnnShape& shape, const MinibatchSize& largest, std::size_t window)
    : shape_(shape),
      window_(window),
      bytes_(bytes_for(shape, largest, window)),
      forward_(shape),
      hidden_transposed_(shape.hidden, shape.hidden),
      output_transposed_(shape.classes, shape.hidden),
      rows_(prepare_rows(RowLayout(shape.features, shape.hidden), largest.window_timesteps)),
      ordered_(largest.rows),
      gradient_(shape),
      row_squares_((1 + shape.features + shape.hidden) + (1 + shape.hidden)) {
  const std::size_t count = group_count(shape, largest.rows);
  groups_.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    groups_.emplace_back(shape, max_group_rows(shape, largest.rows), largest.steps, window,
                         forward_.fused);
  }
}

TrainingStep::~TrainingStep() = default;

std::size_t TrainingStep::bytes_for(const RnnShape& s, const MinibatchSize& largest,
                                    std::size_t window) {
  const std::size_t row = RowLayout(s.features, s.hidden).stride;
  const std::size_t gradient_rows = (1 + s.features + s.hidden) + (1 + s.hidden);
  const std::size_t gradients = (1 + s.features + s.hidden) * s.hidden + (1 + s.hidden) * s.classes;
  const std::size_t group =
      Group::bytes_for(s, max_group_rows(s, largest.rows), largest.steps, window);
  return PackedForward::bytes_for(s) + PackedMatrix::bytes_for(s.hidden, s.hidden) +
         PackedMatrix::bytes_for(s.classes, s.hidden) +
         (largest.window_timesteps * row + gradients) * sizeof(float) +
         group_count(s, largest.rows) * group + largest.rows * sizeof(std::size_t) +
         gradient_rows * sizeof(double);
}

void TrainingStep::begin(const Dataset& data, std::span<const std::size_t> minibatch) {
  const std::span<std::size_t> ordered(ordered_.data(), minibatch.size());
  std::copy(minibatch.begin(), minibatch.end(), ordered.begin());
  order_by_length(data, ordered);
  // Dealt one by one, so that every group has as many long sequences as the others.
  groups_in_use_ = group_count(shape_, minibatch.size());
  float* rows = rows_.data();
  for (std::size_t i = 0; i < groups_in_use_; ++i) {
    rows = groups_[i].assign(data, ordered, i, groups_in_use_, window_, rows);
  }
}

int TrainingStep::team_size(int threads) const {
  const std::size_t shares = groups_in_use_ > 1       ? groups_in_use_
                             : stays_in_cache(shape_) ? 1
                                                      : forward_.recurrent.panels();
  const Totals all = totals();
  return useful_threads(shape_, all.timesteps + 2 * all.window_timesteps, shares, threads);
}

void TrainingStep::run(const RnnParameters& parameters, const Dataset& data,
                       const Team& team) noexcept {
  pack(parameters, team);
  team.barrier();
  // Both halves of a group at once: its states are still in cache on the way back. The groups of a
  // thread use the same memory one after another, that of the first, so that it stays in cache too.
  float* memory = nullptr;
  for_my_groups(team, [&](Group& group, const Team& t) {
    if (memory == nullptr) memory = group.rows();
    if (memory != group.rows()) group.move_rows(memory);
    group.forward(*this, data, t);
    group.backward(*this, t);
  });
  add_groups(team);
}

void TrainingStep::forward(const RnnParameters& parameters, const Dataset& data,
                           const Team& team) noexcept {
  pack(parameters, team);
  team.barrier();
  for_my_groups(team, [&](Group& group, const Team& t) { group.forward(*this, data, t); });
}

void TrainingStep::backward(const Team& team) noexcept {
  for_my_groups(team, [&](Group& group, const Team& t) { group.backward(*this, t); });
  add_groups(team);
}

// A single group is shared by the team; of several, each thread takes its own.
template <class Work>
void TrainingStep::for_my_groups(const Team& team, const Work& work) {
  if (groups_in_use_ == 1) return work(groups_[0], team);
  const Range mine = share(groups_in_use_, team.index(), team.size());
  for (std::size_t i = mine.begin; i < mine.end; ++i) work(groups_[i], Team());
}

void TrainingStep::pack(const RnnParameters& parameters, const Team& team) {
  forward_.pack(parameters, team);
  pack_share(hidden_transposed_, Transpose::yes, parameters.hidden_weights(), shape_.hidden, team);
  pack_share(output_transposed_, Transpose::yes, parameters.output_weights(), shape_.classes, team);
}

// gradient = sum of the groups' gradients in their order, row by row. A barrier before and after.
void TrainingStep::add_groups(const Team& team) {
  team.barrier();
  const auto add_row = [&](float* sum, std::size_t n, auto row_of_group) {
    std::copy_n(row_of_group(groups_[0]), n, sum);
    for (std::size_t g = 1; g < groups_in_use_; ++g) {
      const float* row = row_of_group(groups_[g]);
      for (std::size_t j = 0; j < n; ++j) sum[j] += row[j];
    }
    return sum_of_squares(sum, n);
  };
  const std::size_t recurrent_rows = 1 + shape_.features + shape_.hidden;
  const Range mine = share(row_squares_.size(), team.index(), team.size());
  for (std::size_t i = mine.begin; i < mine.end; ++i) {
    if (i < recurrent_rows) {
      row_squares_[i] = add_row(gradient_.recurrent.data() + i * shape_.hidden, shape_.hidden,
                                [i](const Group& g) { return g.recurrent_gradient(i); });
    } else {
      const std::size_t row = i - recurrent_rows;
      row_squares_[i] = add_row(gradient_.output.data() + row * shape_.classes, shape_.classes,
                                [row](const Group& g) { return g.output_gradient(row); });
    }
  }
  team.barrier();
}

double TrainingStep::gradient_norm() const {
  double sum = 0;
  for (const double square : row_squares_) sum += square;
  return std::sqrt(sum);
}

TrainingStep::Totals TrainingStep::totals() const {
  Totals sum;
  for (std::size_t i = 0; i < groups_in_use_; ++i) {
    const Totals part = groups_[i].totals();
    sum.loss += part.loss;
    sum.correct += part.correct;
    sum.timesteps += part.timesteps;
    sum.window_timesteps += part.window_timesteps;
  }
  return sum;
}

}  // namespace lockstep
