// What layers hand to each other: outputs upwards, gradients downwards.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

#include "layers/dropout.h"
#include "layers/recurrent_layer.h"
#include "layers/row_schedule.h"
#include "lockstep/range.h"
#include "lockstep/rnn/dataset.h"

namespace lockstep {

class OutputLayer;

// Where a layer reads its inputs: the data, or the directions of the layer below.
class LayerInputs {
 public:
  explicit LayerInputs(const Dataset& data) : data_(&data) {}
  // `dropout` may be null.
  LayerInputs(std::span<const RecurrentLayer> below, const Dropout* dropout)
      : below_(below), dropout_(dropout) {}

  // x [count] of row n at its own timestep `own`.
  void copy(const RowSchedule& schedule, std::size_t n, std::size_t own, std::size_t count,
            float* x) const {
    if (data_ == nullptr) return copy_outputs(schedule, n, own, x);
    std::copy_n(data_->sequence(schedule.member(n)).data() + own * count, count, x);
  }

 private:
  void copy_outputs(const RowSchedule& schedule, std::size_t n, std::size_t own, float* x) const;

  const Dataset* data_ = nullptr;
  std::span<const RecurrentLayer> below_;
  const Dropout* dropout_ = nullptr;
};

// What the directions of the layer above have found of the gradients of their inputs, or what a
// head has that reads all timesteps of the last layer, as gradients of a direction's outputs.
// Otherwise of the last layer nothing.
class LayerGradients {
 public:
  LayerGradients() = default;
  // `below`: the size of that direction. `dropout` may be null.
  LayerGradients(std::span<const RecurrentLayer> above, const LayerSize& below,
                 const Dropout* dropout)
      : above_(above), below_(&below), dropout_(dropout) {}
  LayerGradients(const OutputLayer& head, const LayerSize& below) : head_(&head), below_(&below) {}

  [[nodiscard]] bool empty() const { return above_.empty() && head_ == nullptr; }
  // Gradients of some units of row n at its own timestep `own`, in the place of those at `h` or
  // added to them.
  void write(const RowSchedule& schedule, std::size_t n, std::size_t own, Range units, bool adds,
             float* h) const;

 private:
  std::span<const RecurrentLayer> above_;
  const OutputLayer* head_ = nullptr;
  const LayerSize* below_ = nullptr;
  const Dropout* dropout_ = nullptr;
};

}  // namespace lockstep
