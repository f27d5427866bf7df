#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "lockstep/export.h"
#include "lockstep/rnn/normalization.h"
#include "lockstep/rnn/parameters.h"

namespace lockstep {

/// How the learning rate changes from epoch to epoch.
enum class LearningRateSchedule {
  constant,  ///< not at all
  step,      ///< times `decay` every `decay_epochs` epochs
  cosine,    ///< from learning_rate to 0 along half a cosine over `epochs`; 0 ever after
};

/// How often a training draws anew which outputs of a layer it drops.
enum class DropoutKind {
  step,      ///< at every timestep, as PyTorch
  sequence,  ///< once for each sequence (Gal and Ghahramani 2016)
};

/// How to make and train a model. Each member has one name everywhere: here, in the text form
/// below, in C and as a flag of `lockstep train` (with '-' for '_'); so it is with defaults.
struct LOCKSTEP_API Options {
  std::string cell = "tanh";   ///< of the recurrent layers
  std::size_t hidden = 100;    ///< recurrent units of each layer and direction
  std::size_t layers = 1;      ///< recurrent layers, 1 to kMaxLayers
  bool bidirectional = false;  ///< whether each layer reads the sequences backwards too
  Initializer init = Initializer::orthogonal;                ///< of the first weights
  double sigma = 0.01;                                       ///< of Initializer::gaussian, > 0
  NormalizationKind normalize = NormalizationKind::channel;  ///< of the inputs

  std::size_t epochs = 300;     ///< passes over the data, and the length of the cosine
  std::size_t batch_size = 20;  ///< sequences of a minibatch, at least 1; the last may have fewer
  double learning_rate = 0.05;  ///< > 0, of the gradient of the minibatch's mean loss
  LearningRateSchedule schedule = LearningRateSchedule::cosine;  ///< of learning_rate
  double decay = 0.5;                                            ///< > 0, of the step schedule
  std::size_t decay_epochs = 50;  ///< of the step schedule, at least 1
  std::string optimizer = "sgd";  ///< how weights follow their gradient
  /// In [0, 1); 0: plain gradient descent. v = momentum v + g, w -= rate v
  double momentum = 0.8;
  double clip_norm = 0.25;  ///< the mean gradient's L2 norm is scaled down to this; 0: never
  /// Timesteps at the end of each sequence that the backward pass covers; 0: all.
  ///
  /// Truncated backpropagation through time, the BPTT(h) of Williams and Peng (Neural Computation
  /// 2, 1990) with h = truncate, where the only loss is at the end of a sequence. The forward
  /// pass runs over the whole sequence and carries its state from the first timestep to the last;
  /// loss and label are those of the whole sequence. The gradient takes the state before the last
  /// `truncate` timesteps for a constant: dLoss/dw is summed over the uses of a weight w in these
  /// timesteps alone, and nothing is learnt from what came before. (To cut a sequence into windows
  /// of h timesteps, counted from its end, and to backpropagate through each gives the same here:
  /// only the last has a loss.) Sequences of up to `truncate` timesteps give the same bits as
  /// without. States are kept of these timesteps only, so memory does not grow with the length of
  /// the sequences. A bidirectional network has no such training.
  std::size_t truncate = 0;
  /// Share of the outputs of each layer but the last that a training step does not pass on, in
  /// [0, 1), rounded to a multiple of 2^-16; the others are scaled so that their mean stays. Which
  /// they are depends on seed, update, layer, direction, sequence, timestep and unit alone.
  double dropout = 0;
  DropoutKind dropout_kind = DropoutKind::step;  ///< how often they are drawn
  bool shuffle = true;     ///< a new seeded order in every epoch; false: order of the data
  std::uint64_t seed = 1;  ///< of first weights, orders and the validation split
  int threads = 0;         ///< 0: default_threads(); the results do not depend on it

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
enum class OptionKind { whole_number, number, choice, flag };

/// What there is to say of an option.
struct OptionInfo {
  std::string name;          ///< "learning_rate"
  std::string group;         ///< options that belong together have the same
  OptionKind kind;           ///< of its values
  std::string expected;      ///< all of its values: "a number above 0", "one of ..."
  std::string default_text;  ///< as Options::get
  std::string help;          ///< what it is for, one line
  std::string needs;  ///< it has no effect without this: "schedule step", "validation"; or ""
};

/// All options in the order of the members of Options. Valid for ever.
[[nodiscard]] LOCKSTEP_API std::span<const OptionInfo> options_table();

/// Throws InvalidArgument as Options::set would if a member has a value that it cannot have, and
/// for the one pair that excludes each other, `bidirectional` and `truncate`.
LOCKSTEP_API void validate(const Options& options);

}  // namespace lockstep
