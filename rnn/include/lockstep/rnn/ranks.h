#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>

#include "lockstep/error.h"
#include "lockstep/export.h"

namespace lockstep {

/// Another rank has failed or does not answer: ErrorCode::internal.
class LOCKSTEP_API RanksError : public std::runtime_error, public Error {
 public:
  using std::runtime_error::runtime_error;
  ~RanksError() override;
  [[nodiscard]] ErrorCode code() const noexcept override { return ErrorCode::internal; }
  [[nodiscard]] const char* what() const noexcept override { return runtime_error::what(); }
};

/// Processes that train one model together, as MPI counts them: each has a number, its rank, from 0
/// on, and all make the same calls in the same order. They only move bytes; what is added is added
/// by Lockstep, along a tree that the training defines, so neither the number of ranks nor the
/// network between them shows in a result. lockstep::mpi has them over MPI.
///
/// Threads: one at a time: of Model and Trainer the one that called them, or one of their own where
/// serves_any_thread().
class LOCKSTEP_API Ranks {
 public:
  /// Bytes for another rank.
  struct Outgoing {
    int to;                            ///< a rank
    std::span<const std::byte> bytes;  ///< which stay as they are until they are sent
  };
  /// Bytes that another rank sends, as many as these.
  struct Incoming {
    int from;                    ///< a rank
    std::span<std::byte> bytes;  ///< which are written
  };
  /// What a rank has sent.
  struct Traffic {
    std::uint64_t messages = 0;  ///< to other ranks
    std::uint64_t bytes = 0;     ///< in them
  };

  virtual ~Ranks();
  /// Cannot be copied.
  ///@{
  Ranks(const Ranks&) = delete;
  Ranks& operator=(const Ranks&) = delete;
  ///@}

  /// Which one this is, from 0 to size() - 1.
  [[nodiscard]] int rank() const { return rank_; }
  /// How many there are, at least 1.
  [[nodiscard]] int size() const { return size_; }

  /// Sends and receives all of these and waits for them. From one rank to another, messages arrive
  /// in the order in which they were sent. Throws RanksError if a rank does not do its part; the
  /// ranks are of no more use then.
  void exchange(std::span<const Outgoing> outgoing, std::span<const Incoming> incoming);

  /// How many seconds exchange waits for other ranks before it throws, at first 300; 0: for ever.
  /// They count while is_awaited().
  ///@{
  void set_timeout(double seconds) { timeout_ = seconds; }
  [[nodiscard]] double timeout() const { return timeout_; }
  ///@}

  /// Whether another thread than that of the program may call exchange, never two at once: then
  /// gradients of upper layers travel while those of lower layers are computed.
  [[nodiscard]] bool serves_any_thread() const { return serves_any_thread_; }

  /// Whether somebody waits for exchange, as at first. If not, exchange leaves the CPU to others:
  /// it is called beside threads that compute. May change while it runs.
  ///@{
  void set_awaited(bool is_awaited) { is_awaited_ = is_awaited; }
  [[nodiscard]] bool is_awaited() const { return is_awaited_; }
  ///@}

  /// What this rank has sent so far.
  [[nodiscard]] const Traffic& sent() const { return sent_; }

 protected:
  /// Rank `rank` of `size`.
  Ranks(int rank, int size, bool serves_any_thread = false);

 private:
  virtual void move(std::span<const Outgoing> outgoing, std::span<const Incoming> incoming) = 0;

  int rank_;
  int size_;
  bool serves_any_thread_;
  std::atomic<bool> is_awaited_ = true;
  double timeout_ = 300;
  Traffic sent_;
};

}  // namespace lockstep
