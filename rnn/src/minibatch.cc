#include "minibatch.h"

#include <algorithm>

namespace lockstep {

void RowSchedule::reserve(std::size_t rows, std::size_t window) {
  members_.reserve(rows);
  starts_.reserve(rows);
  offsets_.reserve(window + 1);
}

std::size_t RowSchedule::bytes_for(std::size_t rows, std::size_t window) {
  return (2 * rows + window + 1) * sizeof(std::size_t);
}

void RowSchedule::assign(const Dataset& data, std::span<const std::size_t> ordered,
                         std::size_t first, std::size_t step, std::size_t window) {
  const std::size_t steps = data.length(ordered[first]);
  members_.clear();
  starts_.clear();
  timesteps_ = 0;
  for (std::size_t i = first; i < ordered.size(); i += step) {
    members_.push_back(ordered[i]);
    starts_.push_back(steps - data.length(ordered[i]));
    timesteps_ += data.length(ordered[i]);
  }
  window = std::min(window, steps);
  window_begin_ = steps - window;
  offsets_.resize(window + 1);
  for (std::size_t t = window_begin_; t < steps; ++t) {
    offsets_[t - window_begin_ + 1] = offset(t) + begun(t);
  }
}

// Sequences that have begun at timestep t.
std::size_t RowSchedule::begun(std::size_t t) const {
  return static_cast<std::size_t>(std::upper_bound(starts_.begin(), starts_.end(), t) -
                                  starts_.begin());
}

bool MinibatchSize::holds(const MinibatchSize& other) const {
  return rows >= other.rows && steps >= other.steps && window_timesteps >= other.window_timesteps;
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
