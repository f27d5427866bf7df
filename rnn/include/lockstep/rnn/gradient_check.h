#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "lockstep/export.h"
#include "lockstep/rnn/dataset.h"
#include "lockstep/rnn/options.h"
#include "lockstep/rnn/parameters.h"

namespace lockstep {

/// Loss and gradients of the summed cross-entropy of a data set, by plain loops in double
/// precision: the definition that the fast path is measured against.
struct ReferenceGradients {
  double loss = 0;             ///< sum over the sequences, natural logarithm
  std::vector<double> values;  ///< as Parameters::values
};

/// Those of the first update of a training with these options, of which truncate, dropout,
/// dropout_kind and seed count. Throws std::invalid_argument if there are no parameters, channels
/// or labels do not fit them, an option is out of its range or a bidirectional network truncated.
/// Of no sequences all is zero.
[[nodiscard]] LOCKSTEP_API ReferenceGradients reference_gradients(const Parameters& parameters,
                                                                  const Dataset& data,
                                                                  const Options& options = {});

/// Gradients of the same sum by the fast path, on the active backend; Options::threads counts too.
/// Throws as reference_gradients.
[[nodiscard]] LOCKSTEP_API Parameters fast_gradients(const Parameters& parameters,
                                                     const Dataset& data,
                                                     const Options& options = {});

/// One tensor's part in a gradient check.
struct GradientError {
  std::string tensor;           ///< its name, "rnn.bias_ih_l0", ...
  double largest_gradient = 0;  ///< by reference backpropagation
  double analytic_error = 0;    ///< reference backpropagation against finite differences
  double fast_error = 0;        ///< fast path against reference backpropagation
};  // both as the largest difference, relative to the largest gradient of the tensor

/// Bounds of analytic_error and fast_error below which gradients are sound.
///@{
inline constexpr double kAnalyticErrorBound = 1e-6;
inline constexpr double kFastErrorBound = 1e-5;
///@}

/// The bound of fast_error for a network and data whose longest sum, over features and units or
/// over timesteps, has n terms: kFastErrorBound times the root of n / 1000, if that is above 1, as
/// rounding errors grow.
[[nodiscard]] LOCKSTEP_API double fast_error_bound(const Network& network, const Dataset& data);

/// Compares three ways to the same gradients: central differences of the reference loss (step
/// `epsilon` > 0, double), reference backpropagation, and the fast path. Finite differences are
/// taken of at most `max_entries` entries per tensor, drawn by the seed; 0 means all. Sound
/// gradients give errors below the two bounds; a NaN anywhere gives NaN, which is below neither.
/// With Options::truncate the differences are those of a loss in which the state before the last
/// timesteps stays as it is. Throws as reference_gradients.
[[nodiscard]] LOCKSTEP_API std::vector<GradientError> check_gradients(
    const Parameters& parameters, const Dataset& data, const Options& options = {},
    double epsilon = 1e-5, std::size_t max_entries = 200);

}  // namespace lockstep
