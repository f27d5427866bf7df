#include "minibatch.h"

#include <algorithm>

namespace lockstep {

void RowSchedule::reserve(std::size_t rows, std::size_t steps) {
  members_.reserve(rows);
  offsets_.reserve(steps + 1);
}

void RowSchedule::assign(const Dataset& data, std::span<const std::size_t> ordered,
                         std::size_t first, std::size_t step) {
  members_.clear();
  for (std::size_t i = first; i < ordered.size(); i += step) members_.push_back(ordered[i]);
  const std::size_t steps = members_.empty() ? 0 : data.length(members_.front());
  offsets_.resize(steps + 1);
  std::size_t running = members_.size();
  for (std::size_t t = 0; t < steps; ++t) {
    while (data.length(members_[running - 1]) <= t) --running;
    offsets_[t + 1] = offsets_[t] + running;
  }
}

std::size_t longest_timesteps(const Dataset& data, std::size_t rows,
                              std::span<std::size_t> indices) {
  order_by_length(data, indices);
  std::size_t sum = 0;
  for (std::size_t i = 0; i < std::min(rows, indices.size()); ++i) sum += data.length(indices[i]);
  return sum;
}

void order_by_length(const Dataset& data, std::span<std::size_t> members) {
  std::sort(members.begin(), members.end(), [&](std::size_t a, std::size_t b) {
    return data.length(a) != data.length(b) ? data.length(a) > data.length(b) : a < b;
  });
}

}  // namespace lockstep
