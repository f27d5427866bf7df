#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lockstep/export.h"
#include "lockstep/rnn/network.h"

namespace lockstep {

/// What a tensor is for: how it is drawn, and whether weights decay.
enum class TensorRole {
  bias,            ///< [1][n], added to sums
  input_weights,   ///< [D][H], from the inputs of a layer to its units
  hidden_weights,  ///< [H][H], from the units of a layer to themselves
  output_weights,  ///< [H][C], from the outputs of the last layer to those of the network
};

/// A matrix among the parameters of a network: rows x cols, row-major without gaps.
struct LOCKSTEP_API Tensor {
  std::string name;                    ///< that of PyTorch's module, such as "rnn.weight_ih_l0"
  std::size_t rows = 0;                ///< 1 for a bias, the inputs for weights
  std::size_t cols = 0;                ///< units or outputs
  std::size_t offset = 0;              ///< of its first number in Parameters::values
  TensorRole role = TensorRole::bias;  ///< what it is for

  /// rows x cols
  [[nodiscard]] std::size_t size() const { return rows * cols; }
};

/// The trainable numbers of a network, or their gradients: one flat array, cut into tensors.
///
///     tanh, relu:  h_t = f(b + x_t Wx + h_{t-1} Wh),  h_{-1} = 0
///     gru, lstm:   see lockstep/gates.h; their sums are b + x_t Wx + h_{t-1} Wh too
///     outputs = by + h_last Wy
///
/// A bias is followed by the matrices whose products are added to it:
///   rnn.bias_ih_l0 (b)  rnn.weight_ih_l0 (Wx)  rnn.weight_hh_l0 (Wh)  head.bias (by)  head.weight
///   (Wy)
/// The backward direction of a layer, ..._l0_reverse, and further layers, ..._l1, stand in this
/// order before the head. b, Wx and Wh have H columns for each sum of a unit, sum by sum: of an
/// LSTM i, f, g, o; of a GRU n_x, r, z, n_h in b, n, r, z in Wx and r, z, n in Wh. PyTorch stores
/// its matrices transposed, has a GRU's gates in the order r, z, n, and a second bias,
/// rnn.bias_hh_l0, which is part of b here.
class LOCKSTEP_API Parameters {
 public:
  /// Of no network, empty: to be assigned to.
  Parameters() = default;
  /// All zeros. Throws std::invalid_argument as Network::require_valid.
  explicit Parameters(const Network& network);

  /// Whether there are none: those of Parameters(), or moved from.
  [[nodiscard]] bool empty() const { return values_.empty(); }
  /// The network that they belong to.
  [[nodiscard]] const Network& network() const { return network_; }
  /// All numbers, tensor after tensor.
  ///@{
  [[nodiscard]] std::span<float> values() { return values_; }
  [[nodiscard]] std::span<const float> values() const { return values_; }
  ///@}
  /// The tensors, in the order of their numbers.
  [[nodiscard]] std::span<const Tensor> tensors() const { return tensors_; }
  /// The numbers of a tensor. Throws std::invalid_argument if there is none of that name.
  ///@{
  [[nodiscard]] std::span<float> operator[](std::string_view name);
  [[nodiscard]] std::span<const float> operator[](std::string_view name) const;
  ///@}

  /// Whether networks and all numbers are equal.
  bool operator==(const Parameters& other) const {
    return network_ == other.network_ && values_ == other.values_;
  }

 private:
  Network network_;
  std::vector<Tensor> tensors_;
  std::vector<float> values_;
};

/// How first weights are drawn.
enum class Initializer {
  gaussian,    ///< every weight normal with standard deviation sigma (the original program)
  xavier,      ///< uniform on +-sqrt(6 / (fan in + fan out)) (Glorot and Bengio 2010)
  orthogonal,  ///< Wh orthogonal (Saxe et al. 2014), the others as xavier
  pytorch,     ///< as PyTorch's modules: uniform on +-1 / sqrt(H), biases too
};

/// Draws the weights, those of a gate as a matrix of its own. Biases become zero, that of an LSTM's
/// forget gate 1 (Gers et al. 2000), but for `pytorch`: there both biases of PyTorch are drawn and
/// added where they are one here, and the head, which has as many inputs as the last layer has
/// outputs, is uniform on +-1 / sqrt(inputs). `sigma` is used by `gaussian` only. Throws
/// std::invalid_argument if there are no parameters.
///
/// Bits: a tensor depends on its name, its layer's cell and sizes and the seed alone.
LOCKSTEP_API void initialize(Parameters& parameters, Initializer initializer, double sigma,
                             std::uint64_t seed);

/// FNV-1a 64 over the bits of all values (little-endian float32): equal numbers give an equal hash
/// on every machine.
[[nodiscard]] LOCKSTEP_API std::uint64_t weights_hash(const Parameters& parameters);

}  // namespace lockstep
