#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "lockstep/export.h"
#include "lockstep/rnn/dataset.h"

namespace lockstep {

/// Most features, hidden units or outputs of a network: no product of two such sizes overflows.
inline constexpr std::size_t kMaxUnits = std::size_t{1} << 24;

/// Most layers of a network.
inline constexpr std::size_t kMaxLayers = 64;

/// A recurrent layer. In a bidirectional one a second set of units, with weights of its own, reads
/// every sequence from its last timestep to its first; the outputs of a timestep are [forward,
/// backward].
struct LOCKSTEP_API Layer {
  std::string cell = "tanh";   ///< a name of cell_names(): "tanh", "relu", "gru", "lstm"
  std::size_t hidden = 0;      ///< H, recurrent units of each direction
  bool bidirectional = false;  ///< whether there is a backward direction too

  /// H, or 2 H of a bidirectional layer.
  [[nodiscard]] std::size_t outputs() const { return bidirectional ? 2 * hidden : hidden; }
  /// Whether all parts are equal.
  bool operator==(const Layer&) const = default;
};

/// What a head on whole sequences reads of the outputs of the last layer, each direction by itself.
enum class Pooling {
  last,  ///< those after the last timestep forward, after the first backward
  mean,  ///< their mean over the timesteps of the sequence, summed as they are read
  max,   ///< the largest of each unit; the first of equal timesteps gets its gradient
};

/// What a network is made of: recurrent layers, each of which reads the outputs of the one before
/// at the same timestep, as PyTorch's do, and a head on the outputs of the last of them.
///
/// Heads: "classify", one of several classes; "regress", numbers; "multilabel", any of several
/// labels: each of what `pool` makes of a sequence. "classify_steps" and "regress_steps": the same
/// at each timestep.
struct LOCKSTEP_API Network {
  std::size_t features = 0;       ///< D, values per timestep
  std::vector<Layer> layers;      ///< 1 to kMaxLayers, the first reads the features
  std::string head = "classify";  ///< a name of head_names()
  Pooling pool = Pooling::last;   ///< what the head reads
  std::size_t outputs = 0;        ///< C, of the head: classes or numbers

  /// Throws std::invalid_argument if a size is 0 or above kMaxUnits, a cell or head is unknown, or
  /// there is no layer or more than kMaxLayers.
  void require_valid() const;
  /// Whether any layer is bidirectional: then all timesteps must be known before one is read.
  [[nodiscard]] bool is_bidirectional() const;

  /// Whether all parts are equal.
  bool operator==(const Network&) const = default;
};

/// Names of the cells that a layer can have.
[[nodiscard]] LOCKSTEP_API std::vector<std::string> cell_names();
/// What the data must have for a head, by its name. Throws std::invalid_argument for an unknown
/// one.
[[nodiscard]] LOCKSTEP_API TargetKind targets_of_head(const std::string& head);
/// Names of the heads that a network can have.
[[nodiscard]] LOCKSTEP_API std::vector<std::string> head_names();

}  // namespace lockstep
