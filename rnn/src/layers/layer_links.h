// What layers hand to each other: outputs upwards, gradients downwards.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "data/inputs.h"
#include "layers/dropout.h"
#include "layers/recurrent_layer.h"
#include "layers/row_schedule.h"
#include "lockstep/range.h"

namespace lockstep {

class OutputLayer;

// Where a layer reads its inputs: the data, or the directions of the layer below.
class LayerInputs {
 public:
  explicit LayerInputs(const Inputs& data) : data_(&data) {}
  // `dropout` may be null.
  LayerInputs(std::span<const RecurrentLayer> below, const Dropout* dropout)
      : below_(below), dropout_(dropout) {}

  // x of row n at its own timestep `own`.
  void copy(const RowSchedule& schedule, std::size_t n, std::size_t own, float* x) const {
    if (data_ == nullptr) return copy_outputs(schedule, n, own, x);
    data_->copy(schedule.member(n), own, 1, x);
  }

  // As InputScale::mode.
  [[nodiscard]] std::optional<unsigned long long> mode() const {
    return data_ == nullptr || data_->scale == nullptr ? std::nullopt : data_->scale->mode();
  }

 private:
  void copy_outputs(const RowSchedule& schedule, std::size_t n, std::size_t own, float* x) const;

  const Inputs* data_ = nullptr;
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
