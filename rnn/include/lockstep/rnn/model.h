#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "lockstep/export.h"

namespace lockstep {

class Dataset;
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

/// How inputs are standardised.
enum class NormalizationKind {
  none,         ///< not at all
  per_channel,  ///< subtract each channel's mean, divide by its deviation, over the training set
  per_series,   ///< the same for each channel of each sequence on its own
};

/// How inputs are standardised before they reach the network. It belongs to the model: prediction
/// must see the same numbers as training.
struct LOCKSTEP_API Normalization {
  NormalizationKind kind = NormalizationKind::none;  ///< which of the three
  std::vector<float> mean;                           ///< [D], per_channel only
  std::vector<float>
      scale;  ///< [D], per_channel only: 1 / standard deviation, 1 for a constant channel

  /// The normalization of the given kind, fitted to `data` (population standard deviation).
  /// Throws std::invalid_argument for per_channel and an empty set.
  static Normalization fit(NormalizationKind kind, const Dataset& data);
  /// Applies it to every sequence of `data` in place. Throws std::invalid_argument if the number of
  /// channels differs from that of the fit, or that of `mean` from that of `scale`.
  void apply(Dataset& data) const;
  /// Applies it to timesteps [steps][D] in place, any part of a sequence: the numbers that the
  /// sequence as a whole would have. Throws std::invalid_argument if that is impossible, as it is
  /// for per_series, and if there are no whole timesteps, or `mean` and `scale` differ in number.
  void apply(std::span<float> timesteps) const;

  /// Whether kind and all numbers are equal.
  bool operator==(const Normalization&) const = default;
};

/// Everything needed to classify a raw sequence: the file of a model holds exactly this.
struct RnnClassifier {
  RnnParameters parameters;              ///< the network
  Normalization normalization;           ///< of its inputs
  std::vector<std::string> class_names;  ///< [C]
};

/// FNV-1a 64 over the bits of all parameters (recurrent, then output, little-endian float32): equal
/// numbers give an equal hash on every machine.
[[nodiscard]] LOCKSTEP_API std::uint64_t weights_hash(const RnnParameters& parameters);

}  // namespace lockstep
