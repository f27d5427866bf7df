// Who is measured: every backend of Lockstep and every peer is a Contender. The suites know nothing
// else about them, so a peer is set up, verified and timed exactly as we are.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace lockstep {
class Dataset;
}

namespace lockstep::bench {

enum class Kernel {
  gemm,           // C = A B
  gemm_packed,    // C = A B, B packed beforehand
  gemm_tn,        // C += A^T B
  gemm_alpha,     // C = 0.7 A B + 0.3 C
  gemm_batch,     // C_i = A_i B_i, many products in one call
  gemm_loop,      // the same in a call for each
  gemm_batch_nt,  // C_i = A_i B^T, one B of all products of a call
  tanh,
  exp,
  sigmoid,
  relu,
  softmax,
  log_softmax,
  loss,        // softmax, cross-entropy and the gradient of the logits
  pack,        // B into the order in which gemm_packed reads it
  pack_tn,     // the same of B^T
  update_sgd,  // weights after one step of an optimizer with its usual options
  update_adamw,
  update_rmsprop,
  rnn_forward,   // inference, by a network of any cell
  rnn_backward,  // back through time, from the deltas of the last step to the gradients
  rnn_train,     // a whole training step; of a library of layers: layer forward and backward
  rnn_fit,       // two epochs on a built-in data set
};

// Prepared work that can be run again and again: memory is taken, operands are bound, and what a
// caller would do once for many calls (packing weights, creating primitives) is done.
using Task = std::function<void()>;

// What a product is multiplied by, and what was in C before.
struct Factors {
  float alpha, beta;
};
constexpr Factors factors_of(Kernel layout) {
  if (layout == Kernel::gemm_tn) return {1.0f, 1.0f};
  if (layout == Kernel::gemm_alpha) return {0.7f, 0.3f};
  return {1.0f, 0.0f};
}

struct GemmOperands {
  std::size_t m, n, k;
  const float* a;  // m x k, for gemm_tn k x m
  std::size_t lda;
  // k x n, for gemm_batch_nt n x k; for gemm_tn rows are readable up to the next multiple of 16
  // columns.
  const float* b;
  std::size_t ldb;
  float* c;  // m x n
  std::size_t ldc;
};

// Product i is as the first, each operand `i` of its strides further on.
struct BatchOperands {
  GemmOperands first;
  std::size_t count, stride_a, stride_b, stride_c;
};

struct RowsOperands {
  std::size_t rows, cols;
  const float* x;  // rows x cols without gaps
  float* y;        // the same; for loss: the gradient of the logits
  const int* labels;
  double* losses;
};

// Of a network of one bias of `n` weights, which decays; rates as usual, and the scale 1.
struct UpdateOperands {
  std::size_t n;
  float* weights;
  const float* gradient;
};

// `unpack_row` writes row p of the k x n matrix that was packed, for the check.
struct PackTask {
  Task run;
  std::function<void(std::size_t p, float* row)> unpack_row;
};

struct RnnBenchShape;  // shapes.h
struct RnnProblem;     // problems.h

// What an RNN task has computed; what it does not compute stays empty.
struct RnnResults {
  std::vector<float> final_states;   // [N][H], of two directions [N][2 H]
  std::vector<float> probabilities;  // [N][C]
  std::vector<float> gradient;       // of the recurrent layers, summed over the sequences
  std::vector<float> updated;        // the same parameters after one step of training
};

struct RnnTask {
  Task run;
  std::function<RnnResults()> results;
};

struct FitTask {
  Task run;
  std::function<double()> loss;  // of the last epoch
};

class Contender {
 public:
  Contender() = default;
  virtual ~Contender() = default;
  Contender(const Contender&) = delete;
  Contender& operator=(const Contender&) = delete;

  // As in the benchmarks' names: "highway/avx2", "openblas".
  [[nodiscard]] virtual std::string name() const = 0;
  // Version and setting, for the record.
  [[nodiscard]] virtual std::string about() const = 0;
  // float32 per vector of its kernels, which says against which peak it is measured; 0: the widest
  // there is. A peer with fewer than the run allows runs a fallback, and its figures say so.
  [[nodiscard]] virtual std::size_t lanes() const { return 0; }
  // Whether its way back through time includes the gradient of the inputs, which is work more.
  [[nodiscard]] virtual bool computes_input_gradient() const { return false; }
  // Whether it has the kernel on this number of threads; the suites ask for no other.
  [[nodiscard]] virtual bool offers(Kernel kernel, int threads) const = 0;

  // Whether it has networks like this; asked where it offers their passes.
  [[nodiscard]] virtual bool has_network(const RnnBenchShape& /*shape*/) const { return true; }

  virtual Task gemm(Kernel /*layout*/, const GemmOperands& /*o*/, int /*threads*/) { return {}; }
  virtual Task gemm_batch(Kernel /*how*/, const BatchOperands& /*o*/, int /*threads*/) {
    return {};
  }
  virtual Task elementwise(Kernel /*function*/, const float* /*x*/, float* /*y*/,
                           std::size_t /*n*/) {
    return {};
  }
  virtual Task softmax(Kernel /*kind*/, const RowsOperands& /*o*/) { return {}; }
  virtual Task loss(const RowsOperands& /*o*/) { return {}; }
  virtual Task update(Kernel /*optimizer*/, const UpdateOperands& /*o*/) { return {}; }
  virtual PackTask pack(Kernel /*layout*/, std::size_t /*k*/, std::size_t /*n*/,
                        const float* /*b*/) {
    return {};
  }
  virtual RnnTask rnn(Kernel /*pass*/, const RnnProblem& /*problem*/, int /*threads*/) {
    return {};
  }
  virtual FitTask fit(const Dataset& /*data*/, int /*threads*/) { return {}; }
};

using Contenders = std::vector<std::unique_ptr<Contender>>;

}  // namespace lockstep::bench
