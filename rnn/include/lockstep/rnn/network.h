#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "lockstep/export.h"

namespace lockstep {

/// Most features, hidden units or outputs of a network: no product of two such sizes overflows.
inline constexpr std::size_t kMaxUnits = std::size_t{1} << 24;

/// A recurrent layer.
struct LOCKSTEP_API Layer {
  std::string cell = "tanh";  ///< a name of cell_names(): "tanh", "relu", "gru", "lstm"
  std::size_t hidden = 0;     ///< H, recurrent units

  /// Whether cell and size are equal.
  bool operator==(const Layer&) const = default;
};

/// What a network is made of: recurrent layers, and a head on the last state of the last of them.
struct LOCKSTEP_API Network {
  std::size_t features = 0;       ///< D, values per timestep
  std::vector<Layer> layers;      ///< one
  std::string head = "classify";  ///< a name of head_names()
  std::size_t outputs = 0;        ///< C, of the head: classes

  /// Throws std::invalid_argument if a size is 0 or above kMaxUnits, a cell or head is unknown, or
  /// there is not exactly one layer.
  void require_valid() const;

  /// Whether all parts are equal.
  bool operator==(const Network&) const = default;
};

/// Names of the cells that a layer can have.
[[nodiscard]] LOCKSTEP_API std::vector<std::string> cell_names();
/// Names of the heads that a network can have.
[[nodiscard]] LOCKSTEP_API std::vector<std::string> head_names();

}  // namespace lockstep
