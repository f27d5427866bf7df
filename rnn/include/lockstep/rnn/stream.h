#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "lockstep/export.h"
#include "lockstep/rnn/parameters.h"

namespace lockstep {

/// Classifies sequences while they arrive: feed timesteps one by one or in chunks, read out at any
/// time.
///
/// A stream takes `sequences` sequences forward side by side. Each has its own state, 0 at first,
/// which is carried from call to call. What is read out has the bits that predict_proba gives for a
/// sequence of all timesteps fed since the last reset, however these were cut into calls, for any
/// number of threads and on every fused backend; before the first timestep it is what the state 0
/// gives.
///
/// The constructor copies and packs the weights. So the model may be changed or destroyed while the
/// stream lives, and the stream does not see it: to follow a model in training, make a new stream
/// (and hand over the states). The kernels run on the backend that was active at construction; do
/// not change the backend while the stream lives.
///
/// No call after construction allocates memory of its own; a `feed` that needs more threads than
/// OpenMP has running for its caller, as the first may, lets it start them, which does. A stream is
/// used by one thread at a time; different streams are independent, those of one model too. Bad
/// arguments throw std::invalid_argument and leave the stream as it was.
class LOCKSTEP_API Stream {
 public:
  /// `sequences`: 1 to kMaxUnits. `threads`: as resolve_threads; a call that has too little to do
  /// for several, as one sequence always has, stays on the calling thread. Throws
  /// std::invalid_argument for no parameters and for a bidirectional network.
  explicit Stream(const Parameters& parameters, std::size_t sequences = 1, int threads = 0);
  ~Stream();
  /// A stream that was moved from can only be assigned to or destroyed.
  ///@{
  Stream(Stream&&) noexcept;
  Stream& operator=(Stream&&) noexcept;
  ///@}

  /// The network of the model.
  [[nodiscard]] const Network& network() const;
  /// How many it takes forward side by side.
  [[nodiscard]] std::size_t sequences() const;

  /// Feeds `steps` timesteps of every sequence. `x` is [steps][sequences][D], already normalized
  /// (Normalization::apply); steps = 0 changes nothing.
  void feed(std::span<const float> x, std::size_t steps = 1);
  /// Feeds `steps` timesteps of one sequence alone: `x` is [steps][D].
  void feed_one(std::size_t sequence, std::span<const float> x, std::size_t steps = 1);

  /// Outputs by + h Wy or what the head predicts of them (of classes their softmax; of numbers as
  /// the network has them, Model::target_scale restores their units), for all sequences
  /// [sequences][C] or for one [C]. Computed at each call, in memory that these four share: valid
  /// until the next call of any of them.
  ///@{
  [[nodiscard]] std::span<const float> logits();
  [[nodiscard]] std::span<const float> logits(std::size_t sequence);
  [[nodiscard]] std::span<const float> probabilities();
  [[nodiscard]] std::span<const float> probabilities(std::size_t sequence);
  ///@}

  /// The state of a sequence, layer after layer: h [H], of an LSTM h and c [2 H]; of a network with
  /// another Pooling than last then the sum or maximum of the last layer's outputs [H] and the
  /// number of timesteps [1] (exact up to 2^24). A copy, valid until a state is asked for again.
  [[nodiscard]] std::span<const float> state(std::size_t sequence) const;
  /// Puts `state`, as many numbers of any kind, in its place: the next timestep follows on it.
  void set_state(std::size_t sequence, std::span<const float> state);

  /// Begins all sequences, or one, anew, with the state 0.
  ///@{
  void reset();
  void reset(std::size_t sequence);
  ///@}

 private:
  struct LOCKSTEP_HIDDEN State;
  std::unique_ptr<State> state_;
};

}  // namespace lockstep
