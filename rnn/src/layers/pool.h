// What a head on whole sequences reads of a direction of the last layer: of its outputs over the
// timesteps of each sequence the last, the mean or the largest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "layers/row_schedule.h"
#include "layers/workspace.h"
#include "lockstep/range.h"
#include "lockstep/rnn/network.h"

namespace lockstep {

// Takes the outputs h of one more timestep to what was pooled of those before. `places`, if any,
// are the timesteps of the largest outputs: the first of equals, or where time runs `backwards` the
// last that comes by.
inline void pool_step(Pooling kind, bool is_first, bool backwards, std::span<const float> h,
                      float* pooled, std::uint32_t* places, std::uint32_t place) {
  const std::size_t n = h.size();
  if (kind == Pooling::mean) {
    for (std::size_t j = 0; j < n; ++j) pooled[j] = is_first ? h[j] : pooled[j] + h[j];
  } else if (places == nullptr) {
    for (std::size_t j = 0; j < n; ++j) {
      pooled[j] = is_first || !(h[j] <= pooled[j]) ? h[j] : pooled[j];
    }
  } else {
    for (std::size_t j = 0; j < n; ++j) {
      const bool is_larger = backwards ? !(h[j] < pooled[j]) : !(h[j] <= pooled[j]);
      const bool takes = is_first || is_larger;
      pooled[j] = takes ? h[j] : pooled[j];
      places[j] = takes ? place : places[j];
    }
  }
}

// What pool_step has left of `timesteps`, as a head reads it.
inline void finish_pool(Pooling kind, float timesteps, std::span<float> pooled) {
  if (kind != Pooling::mean) return;
  for (float& value : pooled) value /= timesteps;
}

// That of a leaf or chunk of sequences, in training also the gradients of it.
class Pool {
 public:
  // Pools nothing: the head reads the last states.
  Pool() = default;
  // Up to `count` rows of `hidden` floats, which are at `first` in rows of `stride` of `rows`.
  Pool(Pooling kind, bool backwards, std::size_t hidden, std::span<float> rows, std::size_t first,
       std::size_t stride)
      : kind_(kind),
        backwards_(backwards),
        hidden_(hidden),
        rows_(rows),
        first_(first),
        stride_(stride) {}
  // The memory of a training for the way back.
  void take_gradients(Workspace& workspace, std::size_t rows) {
    gradients_ = workspace.take<float>(rows * round_up(hidden_));
    if (kind_ == Pooling::max) places_ = workspace.take<std::uint32_t>(rows * hidden_);
  }

  [[nodiscard]] bool empty() const { return kind_ == Pooling::last; }

  // The outputs of row n at its own timestep `own`; `is_first` of those that come by.
  void add(std::size_t n, std::size_t own, bool is_first, const float* h) const {
    pool_step(kind_, is_first, backwards_, {h, hidden_}, row(n),
              places_.empty() ? nullptr : places_.data() + n * hidden_,
              static_cast<std::uint32_t>(own));
  }
  void finish(std::size_t n, std::size_t timesteps) const {
    finish_pool(kind_, static_cast<float>(timesteps), {row(n), hidden_});
  }

  // Where the head leaves the gradients of what was pooled.
  [[nodiscard]] MatrixView gradients(std::size_t rows) const {
    return {gradients_.data(), rows, hidden_, round_up(hidden_)};
  }
  // The gradients of what was pooled of n sequences become those of one timestep.
  void finish_gradients(std::size_t n, std::size_t timesteps) const {
    finish_pool(kind_, static_cast<float>(timesteps),
                {gradients_.data() + n * round_up(hidden_), hidden_});
  }
  // Gradients of some outputs of row n at its own timestep `own`, in the place of those at `h` or
  // added to them.
  void write(std::size_t n, std::size_t own, Range units, bool adds, float* h) const {
    const float* gradient = gradients_.data() + n * round_up(hidden_);
    const std::uint32_t* places = places_.empty() ? nullptr : places_.data() + n * hidden_;
    for (std::size_t j = units.begin; j < units.end; ++j) {
      const bool is_here = places == nullptr || places[j] == own;
      const float value = is_here ? gradient[j] : 0.0f;
      h[j] = adds ? h[j] + value : value;
    }
  }

 private:
  [[nodiscard]] float* row(std::size_t n) const { return rows_.data() + first_ + n * stride_; }

  Pooling kind_ = Pooling::last;
  bool backwards_ = false;
  std::size_t hidden_ = 0;
  std::span<float> rows_;
  std::size_t first_ = 0;
  std::size_t stride_ = 0;
  std::span<float> gradients_;       // [rows][round_up(hidden)]
  std::span<std::uint32_t> places_;  // [rows][hidden], of the largest outputs
};

}  // namespace lockstep
