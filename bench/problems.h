// Inputs of the benchmarks, and what a correct result is.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "contender.h"
#include "lockstep/aligned_vector.h"
#include "lockstep/rnn/dataset.h"
#include "lockstep/rnn/parameters.h"
#include "shapes.h"

namespace lockstep::bench {

// The reference backend for one scope.
class ReferenceScope {
 public:
  ReferenceScope();
  ~ReferenceScope();
  ReferenceScope(const ReferenceScope&) = delete;
  ReferenceScope& operator=(const ReferenceScope&) = delete;

 private:
  std::string active_;
};

// What is timed of a whole training, on the active backend: the loss of the second epoch.
double second_epoch_loss(const Dataset& data, int threads);

// Numbers in [-1, 1) without pattern, the same in every run.
AlignedVector<float> random_numbers(std::size_t n, unsigned seed);

// How far a result may be from the reference's: `tolerance` times the largest expected value of
// all, or times each expected value; and up to the smallest normal number in any case.
struct Tolerance {
  double tolerance;
  bool of_each = false;
};
inline constexpr Tolerance kOfLargest{1e-5};
inline constexpr Tolerance kOfEach{1e-6, true};
// Gradients and weights after a thousand timesteps in float32.
inline constexpr Tolerance kOfGradient{1e-4};

// The first difference between a result and what is expected, in words; empty if there is none.
// NaN differs from everything.
std::string difference(std::span<const float> found, std::span<const float> expected,
                       Tolerance tolerance);

// A product and as many rows of its result, spread over all, as plain loops do in a tenth of a
// second.
struct GemmProblem {
  GemmProblem(const GemmShape& shape, Kernel layout);

  // As `difference`, of the rows that are known.
  [[nodiscard]] std::string check(std::span<const float> result) const;

  std::size_t m, n, k;
  std::size_t lda, ldb;
  AlignedVector<float> a, b, c;  // c: before
  std::vector<std::size_t> known_rows;
  std::vector<float> expected;  // [known rows][n]
};

// A network, a minibatch, and the result of each pass over it.
//
// The reference is double precision and slow, so the minibatch repeats a few different sequences;
// every row of every timestep counts in what is checked all the same, as the network does not
// forget.
struct RnnProblem {
  explicit RnnProblem(const RnnBenchShape& shape);

  RnnBenchShape shape;
  std::size_t timesteps = 0;  // of all sequences
  Parameters parameters;
  Dataset data;
  std::vector<float> final_deltas;  // [N][H] dLoss/dh of what the output layer reads
  // One training step: plain gradient descent with the mean gradient, its norm clipped.
  double learning_rate = 0;
  double clip_norm = 0;

  std::vector<float> final_states;   // [N][H] of the last layer, of two directions [N][2 H]
  std::vector<float> probabilities;  // [N][C]
  std::vector<float> gradient;       // of the recurrent layers, summed over the sequences
  std::vector<float> updated;        // the recurrent layers after one training step
};

// The part of the recurrent layers in values that are laid out as the parameters.
std::vector<float> recurrent_part(std::span<const float> values, const Parameters& parameters);

// The problem of a shape, made when first asked for.
const RnnProblem& rnn_problem(const RnnBenchShape& shape);
const GemmProblem& gemm_problem(const GemmShape& shape, Kernel layout);

// Length of sequence i of n: all equal, or from a quarter of t to t.
std::size_t sequence_length(const RnnBenchShape& shape, std::size_t i);

}  // namespace lockstep::bench
