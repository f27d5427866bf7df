#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "lockstep/export.h"
#include "lockstep/rnn/missing.h"
#include "lockstep/rnn/normalization.h"
#include "lockstep/rnn/parameters.h"

namespace lockstep {

/// How the learning rate changes in a training, after the warm-up.
enum class LearningRateSchedule {
  constant,   ///< not at all
  step,       ///< times `decay` every `decay_epochs` epochs
  cosine,     ///< from learning_rate to 0 along half a cosine over `epochs`; 0 ever after
  one_cycle,  ///< with each update: from 1/25 of learning_rate up to it in 0.3 of `epochs`, then
              ///< down to 1/250000, as PyTorch's OneCycleLR
              ///< without a cycle of the momentum
  plateau,    ///< times `decay` after more than `decay_epochs` epochs whose loss, of the validation
              ///< set if there is one, was not below 0.9999 of the best, as ReduceLROnPlateau
};

/// The loss of a number y that should be t, with d = y - t; heads regress and regress_steps.
enum class RegressionLoss {
  mse,    ///< d^2
  huber,  ///< d^2 / 2 up to |d| = delta, beyond it delta (|d| - delta / 2)
  mae,    ///< |d|
};

/// What to do about a minibatch whose loss or gradient is not finite. No weight follows it.
enum class OnNan {
  stop,  ///< end the training
  skip,  ///< go on with the next minibatch, and count it
};

/// How often a training draws anew which outputs of a layer it drops.
enum class DropoutKind {
  step,      ///< at every timestep, as PyTorch
  sequence,  ///< once for each sequence (Gal and Ghahramani 2016)
};

/// How to make and train a model. The defaults were chosen on the validation parts of 20 data sets
/// (docs/accuracy.md). Each member has one name everywhere: here, in the text form
/// below, in C and as a flag of `lockstep train` (with '-' for '_'); so it is with defaults.
struct LOCKSTEP_API Options {
  std::string cell = "gru";    ///< of the recurrent layers
  std::size_t hidden = 64;     ///< recurrent units of each layer and direction
  std::size_t layers = 1;      ///< recurrent layers, 1 to kMaxLayers
  bool bidirectional = false;  ///< whether each layer reads the sequences backwards too
  /// What the network does with its outputs, a name of head_names(), or "auto": what the data say.
  std::string head = "auto";
  /// What the head reads of the outputs of the last layer; those of timesteps read each by itself.
  Pooling pool = Pooling::max;
  Initializer init = Initializer::orthogonal;                ///< of the first weights
  double sigma = 0.01;                                       ///< of Initializer::gaussian, > 0
  NormalizationKind normalize = NormalizationKind::channel;  ///< of the inputs
  MissingKind missing = MissingKind::fail;  ///< what to do about values that are missing
  /// Whether numbers are learnt as standardised over the training set, output by output, and
  /// predictions scaled back (heads regress and regress_steps).
  bool normalize_targets = true;

  std::size_t epochs = 300;     ///< passes over the data, and the length of the cosine
  std::size_t batch_size = 20;  ///< sequences of a minibatch, at least 1; the last may have fewer
  /// At least 1: minibatches are this many times as large, to the same bits as with such a
  /// batch_size, and computed one part after another, in the memory of about one.
  std::size_t accumulate = 1;
  /// A minibatch is dealt into a power of two of leaves, as many as leave each of them this many
  /// sequences, and the leaves' gradients are added along a tree: another number rounds otherwise.
  /// Threads and ranks share leaves out. 0: 8, or 64 where a layer has more than 512 KiB of
  /// weights.
  std::size_t leaf_rows = 0;
  /// > 0, of the gradient of the minibatch's mean loss. Without a value, in text `auto`, that which
  /// is good for the optimizer: of sgd 0.05, of adam and adamw 0.005, of rmsprop 0.01.
  std::optional<double> learning_rate{};
  LearningRateSchedule schedule = LearningRateSchedule::cosine;  ///< of learning_rate
  double warmup_epochs = 0;       ///< at first the rate rises linearly, update by update, this long
  double decay = 0.5;             ///< > 0, factor of the schedules step and plateau
  std::size_t decay_epochs = 50;  ///< of the schedules step and plateau, at least 1
  /// How weights follow their gradient g: "sgd", "adam" (Kingma and Ba 2015), "adamw" (Loshchilov
  /// and Hutter 2019) or "rmsprop" (Tieleman and Hinton 2012), as PyTorch defines them.
  std::string optimizer = "adam";
  /// In [0, 1), of sgd (v = momentum v + g, w -= rate v) and rmsprop. Without a value 0.8 of sgd
  /// and 0 of rmsprop.
  std::optional<double> momentum{};
  bool nesterov = false;  ///< sgd: w -= rate (g + momentum v)
  double beta1 = 0.9;     ///< in [0, 1), adam and adamw: of the mean of g
  double beta2 = 0.999;   ///< in [0, 1), adam and adamw: of the mean of g^2
  double alpha = 0.99;    ///< in [0, 1), rmsprop: of the mean of g^2
  bool centered = false;  ///< rmsprop: by the variance of g in the place of the mean of g^2
  double eps = 1e-8;      ///< > 0, added to the root of it: of adam, adamw and rmsprop
  /// Of weights, >= 0: of adamw w -= rate weight_decay w, of the others g += weight_decay w.
  /// Without a value 0.01 of adamw and 0 of the others.
  std::optional<double> weight_decay{};
  bool decay_biases =
      false;  ///< whether biases decay as weights do, as those of PyTorch do by default
  /// In [0, 1); 0: none. After each update average = ema average + (1 - ema) weights, the first
  /// time = weights; a model has the average of its weights, also for the validation.
  double ema = 0;
  RegressionLoss loss = RegressionLoss::mse;  ///< of numbers
  double delta = 1;                           ///< > 0, of RegressionLoss::huber
  /// How much the classes count in the loss of the heads classify and classify_steps: "none", all
  /// the same; "balanced", targets / (classes * targets of the class), as scikit-learn has it; or
  /// "NAME=WEIGHT,...", weights of 0 or more, and 1 for the classes without one. What a target
  /// counts is the weight of its class times that of its sequence (Dataset::set_weight), and the
  /// loss of a minibatch is the sum of the weighted losses divided by the sum of the weights.
  std::string class_weights = "none";
  /// In [0, 1), s: a label counts (1 - s) as itself and s as every class alike (heads classify and
  /// classify_steps).
  double label_smoothing = 0;
  /// The mean gradient's L2 norm is scaled down to this; 0: never. Without a value 0.25 of sgd and
  /// 1 of the others.
  std::optional<double> clip_norm{};
  /// Timesteps at the end of each sequence that the backward pass covers; 0: all.
  ///
  /// Truncated backpropagation through time, the BPTT(h) of Williams and Peng (Neural Computation
  /// 2, 1990) with h = truncate, where the only loss is at the end of a sequence. The forward
  /// pass runs over the whole sequence and carries its state from the first timestep to the last;
  /// loss and label are those of the whole sequence (of heads of timesteps only what is known of
  /// those in the window counts). The gradient takes the state before the last
  /// `truncate` timesteps for a constant: dLoss/dw is summed over the uses of a weight w in these
  /// timesteps alone, and nothing is learnt from what came before. (To cut a sequence into windows
  /// of h timesteps, counted from its end, and to backpropagate through each gives the same here:
  /// only the last has a loss.) Sequences of up to `truncate` timesteps give the same bits as
  /// without. States are kept of these timesteps only, so memory does not grow with the length of
  /// the sequences. A bidirectional network has no such training.
  std::size_t truncate = 0;
  OnNan on_nan = OnNan::stop;  ///< a minibatch whose loss or gradient is not finite
  /// Share of the outputs of each layer but the last that a training step does not pass on, in
  /// [0, 1), rounded to a multiple of 2^-16; the others are scaled so that their mean stays. Which
  /// they are depends on seed, update, layer, direction, sequence, timestep and unit alone.
  double dropout = 0;
  DropoutKind dropout_kind = DropoutKind::step;  ///< how often they are drawn
  bool shuffle = true;     ///< a new seeded order in every epoch; false: order of the data
  std::uint64_t seed = 1;  ///< of first weights, orders and the validation split
  int threads = 0;         ///< 0: default_threads(); the results do not depend on it
  /// Most bytes of Trainer::workspace_bytes; 0: no bound. Where the states of all timesteps do not
  /// fit, those of a part of them are kept, and the way back computes the others again from the
  /// states that each part begins with: about a quarter more time, and the same bits (on the
  /// backend `reference` not of heads of timesteps). Of all timesteps are kept only the outputs of
  /// a bidirectional layer that another layer or a head of timesteps reads, or of a layer below a
  /// bidirectional one, and the gradients of them. Where not even that fits, a training is refused
  /// with the least that does.
  std::size_t memory = 0;

  double validation = 0;     ///< share of the training data that is held out, in [0, 1)
  std::size_t patience = 0;  ///< epochs without a better validation loss before stopping; 0: never

  /// Sets the option `name` to the value whose text is `text`: a number in C's notation, a word,
  /// `true` or `false`, whatever the locale is. In names and words '-' and '_' are equal. Throws
  /// InvalidArgument, and changes nothing, for an unknown name (with the list of the known
  /// ones) and for a value that the option cannot have: "NAME: expected ..., found ...".
  void set(std::string_view name, std::string_view text);
  /// The value of the option `name` as text that set() understands. Throws as set().
  [[nodiscard]] std::string get(std::string_view name) const;
  /// Whether the option `name` has an effect beside the others, as OptionInfo::needs says. Throws
  /// as set().
  [[nodiscard]] bool uses(std::string_view name) const;

  /// Whether all options are equal.
  bool operator==(const Options&) const = default;
};

/// What the values of an option are.
enum class OptionKind { whole_number, number, choice, flag, text };

/// What there is to say of an option.
struct OptionInfo {
  std::string name;          ///< "learning_rate"
  std::string group;         ///< options that belong together have the same
  OptionKind kind;           ///< of its values
  std::string expected;      ///< all of its values: "a number above 0", "one of ..."
  std::string default_text;  ///< as Options::get
  std::string help;          ///< what it is for, one line
  std::string
      needs;  ///< it has no effect without this: "validation", "schedule step or plateau"; or ""
  bool may_change = false;  ///< whether a training that is resumed may have another value
};

/// All options in the order of the members of Options. Valid for ever.
[[nodiscard]] LOCKSTEP_API std::span<const OptionInfo> options_table();

/// Throws InvalidArgument as Options::set would if a member has a value that it cannot have, and
/// for the one pair that excludes each other, `bidirectional` and `truncate`.
LOCKSTEP_API void validate(const Options& options);

}  // namespace lockstep
