// Which outputs of a layer a training step drops on their way to the next layer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "lockstep/rnn/options.h"
#include "network/layer_size.h"

namespace lockstep {

// Every output is dropped with the same probability, the others are scaled so that the mean stays.
// Which ones are is a function of (seed, update, layer, direction, sequence, timestep, unit), by
// Philox4x32-10, so neither threads nor the minibatch's other sequences show.
class Dropout {
 public:
  // Drops nothing.
  Dropout() = default;
  explicit Dropout(const Options& options);

  [[nodiscard]] bool drops() const { return threshold_ > 0; }
  // The factors of an update, counted from 0.
  void begin_update(std::uint64_t update) { update_ = static_cast<std::uint32_t>(update); }
  // Multiplies outputs of a direction of a layer, or their gradients, by their factors: those of a
  // sequence at its own timestep, from unit `first` on.
  void apply(const LayerSize& layer, std::size_t sequence, std::size_t timestep, std::size_t first,
             std::span<float> values) const;

 private:
  std::uint64_t key_ = 0;
  std::uint32_t update_ = 0;
  std::uint32_t threshold_ = 0;  // of 2^16: 16 random bits below it drop an output
  float scale_ = 1;
  bool of_sequence_ = false;  // one mask for all timesteps
};

}  // namespace lockstep
