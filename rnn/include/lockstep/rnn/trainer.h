#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <vector>

#include "lockstep/export.h"
#include "lockstep/rnn/dataset.h"
#include "lockstep/rnn/options.h"
#include "lockstep/rnn/parameters.h"

namespace lockstep {

struct Inputs;
class Ranks;

/// What one pass over the training set gave.
struct EpochResult {
  std::size_t epoch = 0;  ///< counted from 1, over all passes of a trainer
  /// Mean over all known targets, times their weights and divided by the weights' sum; of classes
  /// the cross-entropy in nats. Each minibatch before its update.
  double loss = 0;
  double accuracy = 0;             ///< share classified right; NaN of numbers
  double learning_rate = 0;        ///< of its first update
  double seconds = 0;              ///< wall time of the pass
  std::size_t timesteps = 0;       ///< of the sequences trained on in the pass
  double validation_loss = 0;      ///< NaN without a validation set
  double validation_accuracy = 0;  ///< NaN without a validation set
  /// Minibatches that were left out, by OnNan::skip.
  std::size_t skipped = 0;
  /// The minibatch, counted from 1, that ended the pass by OnNan::stop; 0: none.
  std::size_t failed_minibatch = 0;
};

/// Progress inside an epoch, given after every minibatch.
struct BatchProgress {
  std::size_t epoch = 0;         ///< counted from 1
  std::size_t samples_done = 0;  ///< sequences trained on in this epoch
  std::size_t samples = 0;       ///< sequences of the training set
};

/// Why a training ended.
enum class FitStatus {
  finished,  ///< after Options::epochs
  patience,  ///< after Options::patience epochs without a better validation loss
  stopped,   ///< by its observer
  diverged,  ///< a loss, a gradient or a weight was no longer a finite number
};

/// When and where a training is written, so that it can go on later: Model::resume.
struct Checkpoints {
  std::filesystem::path path;    ///< of the file; beside it, PATH.previous is the one before
  std::size_t every_epochs = 0;  ///< number of epochs between two files; 0: not by epochs
  double every_seconds = 0;      ///< after a minibatch, once so long has passed; 0: not by time
};

/// Whether long work is to end: asked by the thread that called for it, every few sequences, until
/// it says yes. What it throws ends the work too, and is passed on. May be empty: no.
using IsInterrupted = std::function<bool()>;

/// What observes a training, on the thread that called Model::fit. Both may be empty, and end
/// the training by returning false. What they throw ends it too and passes on.
struct FitObserver {
  std::function<bool(const BatchProgress&)> on_batch;  ///< after every minibatch
  std::function<bool(const EpochResult&)> on_epoch;    ///< after every epoch
  /// Written if its path is not empty: at its times, when an observer ends the training (with the
  /// part of an epoch that was done), and at the end, but never after what was not finite.
  std::optional<Checkpoints> checkpoints{};
  /// Asked within minibatches and measurements too. A minibatch that it ends has taught nothing:
  /// the training is stopped as if on_batch had returned false after the one before. A validation
  /// that it ends has no loss (NaN).
  IsInterrupted is_interrupted{};
};

/// How a training went.
struct LOCKSTEP_API FitResult {
  FitStatus status = FitStatus::finished;  ///< why it ended
  std::vector<EpochResult> history;        ///< the last is of part of an epoch if on_batch ended it
  std::size_t kept_epoch = 0;              ///< whose weights were kept; 0: those from before
  int threads = 1;                         ///< that it could use

  /// Of all epochs.
  [[nodiscard]] double seconds() const;
  /// Minibatches of all epochs that were left out.
  [[nodiscard]] std::size_t skipped() const;
  /// Mean over all epochs.
  [[nodiscard]] double timesteps_per_second() const;
};

/// A data set in two parts, both in its order.
struct ValidationSplit {
  Dataset train;       ///< to learn from
  Dataset validation;  ///< held out
};

/// Holds out a share of `data` that the seed draws, rounded to whole sequences; of each class its
/// share, to within one sequence. Throws InvalidArgument if that leaves no sequence on one side.
[[nodiscard]] LOCKSTEP_API ValidationSplit split_validation(const Dataset& data, double share,
                                                            std::uint64_t seed);

/// What LearningRateSchedule::plateau knows.
struct PlateauState {
  double best_loss = std::numeric_limits<double>::infinity();  ///< of all epochs
  std::size_t epochs_since_best = 0;                           ///< or since the last fall
  double factor = 1;                                           ///< of the learning rate
};

/// Where a trainer is, beside its parameters and options. Another trainer that has all three goes
/// on to the same bits, on any number of threads and any backend with fused multiply-add.
struct LOCKSTEP_API TrainerState {
  std::uint64_t minibatches = 0;  ///< of all passes
  /// Whether the next run_epoch continues `pass`, in its middle, and does not begin another.
  bool is_in_pass = false;
  EpochResult pass;                     ///< the last pass; inside it, `loss` is a sum
  std::size_t pass_minibatches = 0;     ///< of the last pass
  std::size_t pass_sequences = 0;       ///< of them
  double pass_weight = 0;               ///< of its targets, without those that were left out
  double pass_right = 0;                ///< outputs that were right
  double pass_targets = 0;              ///< that were known
  PlateauState plateau;                 ///< of the schedule
  std::uint64_t updates = 0;            ///< of the optimizer
  std::array<double, 2> beta_powers{};  ///< beta1^t and beta2^t of the update that follows
  std::vector<float> slots;             ///< what the optimizer keeps of each weight
  std::vector<float> average;           ///< of the weights, if Options::ema
};

/// For checkpoints within a pass; of Lockstep's own. Both may be empty.
struct CheckpointHooks {
  std::function<bool()> is_due;  ///< with each minibatch; of several ranks, on any of them
  std::function<void()> on_due;  ///< after such a minibatch, on all ranks
};

/// Trains the parameters of a classifier by minibatch gradient descent with backpropagation through
/// time (rnn/README.md says where each formula is). The kernels run on the backend that
/// is active when the trainer first gets its data; do not change it in the middle of a training.
///
/// All memory is taken when the trainer gets its first data set (and again only if a later one has
/// longer sequences); a training step itself allocates nothing, but where caches are small or far
/// the memory of each thread that gemm_accumulate_transposed copies into, which neither
/// Options::memory nor workspace_bytes counts. One trainer is used by one thread at a time; it uses
/// up to `threads` threads itself.
///
/// With several ranks each has a trainer of the same parameters and options and makes the same
/// calls, with the same data, of which it reads its share; run_epoch, averaged and state meet the
/// others. Each ends with the same parameters; what the optimizer keeps is shared out. Where one
/// ends a pass early, by on_batch or is_interrupted, all do, and the minibatch that others had
/// begun teaches nothing.
class LOCKSTEP_API Trainer {
 public:
  /// `parameters` are trained in place, must outlive the trainer and keep their place and shape, as
  /// must `ranks` if it is not null. Throws std::invalid_argument with the name of an option that
  /// is out of its range, also for `truncate` where the network is bidirectional.
  Trainer(Parameters& parameters, const Options& options, Ranks* ranks = nullptr);
  ~Trainer();
  /// A trainer that was moved from can only be assigned to or destroyed.
  ///@{
  Trainer(Trainer&&) noexcept;
  Trainer& operator=(Trainer&&) noexcept;
  ///@}

  /// One more pass over `data` (already normalized, with targets of the head, every sequence
  /// labelled if it has one class); calling it again continues. `on_batch`, called on the calling
  /// thread, may return false to stop after the current minibatch: the result then covers what was
  /// done. `is_interrupted` may stop it within a minibatch, which then changes no weight; if it was
  /// the first, the loss is NaN, and the next call repeats the pass. What they throw stops the pass
  /// too, and is passed on. A minibatch whose loss or gradient
  /// is not finite changes no weight, and ends the pass or not as Options::on_nan says. Throws
  /// std::invalid_argument if there are no parameters, sizes or labels do not fit, there is no
  /// sequence, or a step takes more than Options::memory; std::bad_alloc if there is no work
  /// memory. Then no weight has changed.
  EpochResult run_epoch(const Dataset& data,
                        const std::function<bool(const BatchProgress&)>& on_batch = {},
                        const IsInterrupted& is_interrupted = {});
  /// The same of data that are normalized on the way; of Lockstep's own.
  LOCKSTEP_HIDDEN EpochResult run_epoch(const Inputs& inputs,
                                        const std::function<bool(const BatchProgress&)>& on_batch,
                                        const IsInterrupted& is_interrupted,
                                        const CheckpointHooks& checkpoints);
  /// Whether a rank, this or another, has ended the last pass early.
  [[nodiscard]] LOCKSTEP_HIDDEN bool was_stopped() const;

  /// The average of the parameters by Options::ema; without it, and before the first update, the
  /// parameters themselves.
  [[nodiscard]] Parameters averaged() const;
  /// The loss after an epoch, for LearningRateSchedule::plateau.
  void note_loss(double loss);

  /// Where it is now; on_batch may ask too, and is then in a pass. So is a trainer whose last pass
  /// was ended early.
  [[nodiscard]] TrainerState state() const;
  /// Continues from there. Throws std::invalid_argument if it is not of such parameters and
  /// options.
  void set_state(const TrainerState& state);

  /// Options::threads as resolve_threads understood it.
  [[nodiscard]] int threads() const;
  /// Bytes of work memory held for a training step; 0 before there was data. What the optimizer
  /// keeps (up to four times the parameters) and the order of the data (8 bytes per sequence) are
  /// not counted.
  [[nodiscard]] std::size_t workspace_bytes() const;

 private:
  struct LOCKSTEP_HIDDEN State;
  std::unique_ptr<State> state_;
};

/// What workspace_bytes of such a trainer will be, on the active backend, after a data set of
/// `sequences` sequences: exactly if `max_length` is the length of each, otherwise at most this.
/// Throws std::invalid_argument as Trainer and Network::require_valid, and if it is more than
/// Options::memory or the address space.
[[nodiscard]] LOCKSTEP_API std::size_t training_workspace_bytes(const Network& network,
                                                                const Options& options,
                                                                std::size_t sequences,
                                                                std::size_t max_length);

}  // namespace lockstep
