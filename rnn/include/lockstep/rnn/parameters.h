#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "lockstep/export.h"

namespace lockstep {

class Random;

/// Sizes of a recurrent classifier.
struct LOCKSTEP_API RnnShape {
  std::size_t features = 0;  ///< D, values per timestep
  std::size_t hidden = 0;    ///< H, recurrent units
  std::size_t classes = 0;   ///< C

  /// Throws std::invalid_argument if a size is 0 or above kMaxUnits.
  void require_valid() const;

  /// Whether all sizes are equal.
  bool operator==(const RnnShape&) const = default;
};

/// Most features, hidden units or classes of a model: no product of two such sizes overflows.
inline constexpr std::size_t kMaxUnits = std::size_t{1} << 24;

/// The trainable numbers of a vanilla tanh RNN classifier, or their gradients.
///
///     h_t = tanh(b + x_t Wx + h_{t-1} Wh),  h_{-1} = 0
///     logits = by + h_last Wy
///
/// Biases stand as the first row of their matrix, so each layer is one matrix:
///   recurrent  [1 + D + H][H] row-major: b, Wx, Wh
///   output     [1 + H][C]     row-major: by, Wy
struct LOCKSTEP_API RnnParameters {
  RnnShape shape;                ///< D, H and C
  std::vector<float> recurrent;  ///< b, Wx, Wh
  std::vector<float> output;     ///< by, Wy

  /// Empty, of a shape that is not valid: to be assigned to.
  RnnParameters() = default;
  /// All zeros. Throws std::invalid_argument as RnnShape::require_valid.
  explicit RnnParameters(const RnnShape& shape);

  /// Whether no size is 0 and both matrices have the sizes of the shape: false for
  /// RnnParameters() and for what was moved from.
  [[nodiscard]] bool is_whole() const;

  /// b [H]
  ///@{
  [[nodiscard]] float* bias() { return recurrent.data(); }
  [[nodiscard]] const float* bias() const { return recurrent.data(); }
  ///@}
  /// Wx [D][H]
  ///@{
  [[nodiscard]] float* input_weights() { return recurrent.data() + shape.hidden; }
  [[nodiscard]] const float* input_weights() const { return recurrent.data() + shape.hidden; }
  ///@}
  /// Wh [H][H]
  ///@{
  [[nodiscard]] float* hidden_weights() {
    return recurrent.data() + (1 + shape.features) * shape.hidden;
  }
  [[nodiscard]] const float* hidden_weights() const {
    return recurrent.data() + (1 + shape.features) * shape.hidden;
  }
  ///@}
  /// by [C]
  ///@{
  [[nodiscard]] float* output_bias() { return output.data(); }
  [[nodiscard]] const float* output_bias() const { return output.data(); }
  ///@}
  /// Wy [H][C]
  ///@{
  [[nodiscard]] float* output_weights() { return output.data() + shape.classes; }
  [[nodiscard]] const float* output_weights() const { return output.data() + shape.classes; }
  ///@}

  /// Whether shape and all numbers are equal.
  bool operator==(const RnnParameters&) const = default;
};

/// How first weights are drawn.
enum class Initializer {
  gaussian,    ///< every weight normal with standard deviation sigma (the original program)
  xavier,      ///< uniform on +-sqrt(6 / (fan in + fan out)) (Glorot and Bengio 2010)
  orthogonal,  ///< Wh orthogonal (Saxe et al. 2014), Wx and Wy as xavier
};

/// Draws the weights; all biases become zero. `sigma` is used by `gaussian` only. Throws
/// std::invalid_argument if the parameters are not whole.
LOCKSTEP_API void initialize(RnnParameters& parameters, Initializer initializer, double sigma,
                             Random& random);

/// FNV-1a 64 over the bits of all parameters (recurrent, then output, little-endian float32): equal
/// numbers give an equal hash on every machine.
[[nodiscard]] LOCKSTEP_API std::uint64_t weights_hash(const RnnParameters& parameters);

}  // namespace lockstep
