#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "lockstep/rnn/trainer.h"

namespace lockstep::command {

/// How far a training is, what is left first, since a narrow terminal cuts off the end: below 80
/// characters unless the numbers are huge. `last` is the last whole epoch (its `epoch` is 0 before
/// the first), `timesteps` those of the training set, `seconds` the time since the start.
[[nodiscard]] std::string progress_text(const BatchProgress& progress, const EpochResult& last,
                                        std::size_t epochs, std::size_t timesteps, double seconds);

/// One line on standard error that shows how far a training is; nothing if that is no terminal or
/// `quiet` is set. The line is gone when this object is.
class Progress {
 public:
  /// `timesteps`: of the training set.
  Progress(std::size_t epochs, std::size_t timesteps, bool quiet);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void on_batch(const BatchProgress& progress);
  void on_epoch(const EpochResult& epoch) { last_epoch_ = epoch; }

 private:
  using Clock = std::chrono::steady_clock;

  bool visible_;
  std::size_t epochs_;
  std::size_t timesteps_;
  Clock::time_point start_ = Clock::now();
  Clock::time_point next_draw_ = start_;
  EpochResult last_epoch_;
};

}  // namespace lockstep::command
