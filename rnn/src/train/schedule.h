// The length of the step along the gradient.
#pragma once

#include <cstddef>

#include "lockstep/rnn/options.h"
#include "lockstep/rnn/trainer.h"

namespace lockstep {

// An update of a training: its epoch, and its number in it, of `updates`; all counted from 0.
struct UpdatePlace {
  std::size_t epoch;
  std::size_t update = 0;
  std::size_t updates = 1;
};

// The learning rate of an update, without the factor of the plateau.
[[nodiscard]] double scheduled_rate(const Options& options, const UpdatePlace& at);

// Notes the loss after an epoch, by LearningRateSchedule::plateau, as PyTorch's ReduceLROnPlateau.
void note_loss(const Options& options, double loss, PlateauState& state);

// The factor that turns the gradient of a summed loss into that of the mean over `total` (sequences
// or their weights), scaled down where its norm would exceed clip_norm (0: never).
[[nodiscard]] double gradient_scale(double summed_norm, double total, double clip_norm);

}  // namespace lockstep
