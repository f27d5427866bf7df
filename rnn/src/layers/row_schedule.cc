#include "layers/row_schedule.h"

#include <algorithm>

namespace lockstep {

RowSchedule::RowSchedule(Workspace& workspace, std::size_t rows, std::size_t window)
    : members_(workspace.take<std::size_t>(rows)),
      starts_(workspace.take<std::size_t>(rows)),
      offsets_(workspace.take<std::size_t>(window + 1)) {}

void RowSchedule::assign(const Dataset& data, std::span<const std::size_t> ordered,
                         std::size_t first, std::size_t step, std::size_t window) {
  steps_ = data.length(ordered[first]);
  rows_ = 0;
  timesteps_ = 0;
  for (std::size_t i = first; i < ordered.size(); i += step, ++rows_) {
    const std::size_t length = data.length(ordered[i]);
    members_[rows_] = ordered[i];
    starts_[rows_] = steps_ - length;
    timesteps_ += length;
  }
  window_begin_ = steps_ - std::min(window, steps_);
  offsets_[0] = 0;
  for (std::size_t t = window_begin_; t < steps_; ++t) {
    offsets_[t - window_begin_ + 1] = offset(t) + begun(t);
  }
  divide(std::max<std::size_t>(1, steps_ - window_begin_));
}

void RowSchedule::divide(std::size_t timesteps) {
  const std::size_t window = steps_ - window_begin_;
  segment_steps_ = timesteps;
  segments_ = std::max<std::size_t>(1, (window + timesteps - 1) / timesteps);
  keep(0);
}

void RowSchedule::keep(std::size_t segment_number) {
  kept_ = segment_number;
  kept_offset_ = offset(segment(segment_number).begin);
}

Range RowSchedule::segment(std::size_t number) const {
  const std::size_t end = steps_ - (segments_ - 1 - number) * segment_steps_;
  return {end - std::min(end - window_begin_, segment_steps_), end};
}

// Sequences that have begun at timestep t.
std::size_t RowSchedule::begun(std::size_t t) const {
  const auto starts = starts_.first(rows_);
  return static_cast<std::size_t>(std::ranges::upper_bound(starts, t) - starts.begin());
}

MinibatchSize MinibatchSize::joined(const MinibatchSize& other) const {
  return {.rows = std::max(rows, other.rows),
          .steps = std::max(steps, other.steps),
          .window_timesteps = std::max(window_timesteps, other.window_timesteps)};
}

MinibatchSize largest_minibatch(const Dataset& data, std::size_t rows, std::size_t window,
                                std::span<std::size_t> indices) {
  order_by_length(data, indices);
  MinibatchSize size{.rows = std::min(rows, indices.size())};
  for (std::size_t i = 0; i < size.rows; ++i) {
    const std::size_t length = data.length(indices[i]);
    size.steps = std::max(size.steps, length);
    size.window_timesteps += std::min(length, window);
  }
  return size;
}

void order_by_length(const Dataset& data, std::span<std::size_t> members) {
  std::sort(members.begin(), members.end(), [&](std::size_t a, std::size_t b) {
    return data.length(a) != data.length(b) ? data.length(a) > data.length(b) : a < b;
  });
}

}  // namespace lockstep
