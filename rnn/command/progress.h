#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <string>
#include <thread>

#include "lockstep/rnn/trainer.h"

namespace lockstep::command {

/// One line on standard error that says that a file is being read, once that takes a second;
/// nothing if that is no terminal that can erase it or `quiet` is set. The line is gone when this
/// object is.
class ReadingProgress {
 public:
  /// `name`: of the file, as messages have it.
  ReadingProgress(const std::string& name, bool quiet);
  ~ReadingProgress();
  ReadingProgress(const ReadingProgress&) = delete;
  ReadingProgress& operator=(const ReadingProgress&) = delete;

 private:
  void draw(const std::string& name);

  std::mutex mutex_;
  std::condition_variable ended_;
  bool has_ended_ = false;
  std::thread thread_;
};

/// The same of how far a training is.
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
  double before_ = -1;  ///< epochs that were done when it began
};

}  // namespace lockstep::command
