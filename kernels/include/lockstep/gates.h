#pragma once

#include <cstddef>

#include "lockstep/export.h"

namespace lockstep {

/// Bound of the error of a gate, sigma(x) = 1/2 + 1/2 tanh(x/2), where a result is about 1; where
/// it is small the error is as large, so that a gate below 2^-25 may be closed: exactly 0.
inline constexpr double kGateMaxError = 0x1p-23;

/// A timestep of a long short-term memory (Hochreiter and Schmidhuber 1997, with the forget gate of
/// Gers et al. 2000) between the products, of some sequences and some of their units:
///
///     i, f, o = sigma of their sums,  g = tanh of its sum
///     c = f c' + i g,  h = o tanh(c)
///
/// Shapes: all rows belong to a sequence; matrices are row-major. The gates i, f, g, o of a row
/// begin `gate_stride` floats apart, and of each the first `units` are computed, so that a thread
/// can be given some of the units.
struct LstmForward {
  std::size_t rows = 0;             ///< sequences
  std::size_t units = 0;            ///< of each gate
  std::size_t gate_stride = 0;      ///< floats from one gate to the next, at least `units`
  float* gates = nullptr;           ///< sums, which become the gates
  std::size_t ldg = 0;              ///< floats from row to row of the gates
  const float* c_before = nullptr;  ///< c', [rows][units]
  std::size_t ldc_before = 0;       ///< floats from row to row of c'
  float* c = nullptr;               ///< [rows][units], may be c'
  std::size_t ldc = 0;              ///< floats from row to row of c
  float* h = nullptr;               ///< [rows][units]
  std::size_t ldh = 0;              ///< floats from row to row of h
};

/// Computes gates, c and h.
///
/// Aliasing: c may be c_before; apart from that no two matrices overlap. Any alignment.
///
/// Special values: NaN gives NaN. Infinite sums saturate their gates.
///
/// Accuracy: gates by kGateMaxError, tanh by kTanhMaxUlp; c with one rounding of i g and one of the
/// sum.
///
/// Bits: a result depends on the operands of its own unit only. The same on every backend with
/// fused multiply-add.
///
/// Threads: runs on the calling thread; thread-safe, no allocation.
///
/// Errors: InvalidArgument for a null matrix that is not empty, or a stride shorter than a row.
LOCKSTEP_API void lstm_forward(const LstmForward& step);

/// The way back through the same timestep.
struct LstmBackward {
  std::size_t rows = 0;             ///< sequences
  std::size_t units = 0;            ///< of each gate
  std::size_t gate_stride = 0;      ///< floats from one gate to the next, also of the deltas
  const float* gates = nullptr;     ///< as lstm_forward left them
  std::size_t ldg = 0;              ///< floats from row to row of the gates
  const float* c_before = nullptr;  ///< c', [rows][units]
  std::size_t ldc_before = 0;       ///< floats from row to row of c'
  const float* c = nullptr;         ///< [rows][units]
  std::size_t ldc = 0;              ///< floats from row to row of c
  const float* dh = nullptr;        ///< dLoss/dh, [rows][units]
  std::size_t lddh = 0;             ///< floats from row to row of dh
  float* dc = nullptr;              ///< dLoss/dc of later timesteps, becomes that of c'
  std::size_t lddc = 0;             ///< floats from row to row of dc
  float* deltas = nullptr;          ///< gradients of the sums, arranged as the gates
  std::size_t ldd = 0;              ///< floats from row to row of the deltas
};

/// Gradients of the sums and of c' from those of h and c. tanh(c) is computed anew.
///
/// Aliasing: deltas may be the gates; apart from that no two matrices overlap. Otherwise as
/// lstm_forward.
LOCKSTEP_API void lstm_backward(const LstmBackward& step);

/// A timestep of a gated recurrent unit (Cho et al. 2014) with the reset gate behind the product,
/// as PyTorch and cuDNN have it:
///
///     r, z = sigma of their sums,  n = tanh(n_x + r n_h)
///     h = (1 - z) n + z h'  =  n + z (h' - n)
///
/// n_x is the sum of the inputs and their bias, n_h that of the states and theirs. Shapes are as
/// for LstmForward; the gates are n_x, r, z, n_h.
struct GruForward {
  std::size_t rows = 0;             ///< sequences
  std::size_t units = 0;            ///< of each gate
  std::size_t gate_stride = 0;      ///< floats from one gate to the next, at least `units`
  float* gates = nullptr;           ///< sums n_x, r, z, n_h, which become n, r, z, n_h
  std::size_t ldg = 0;              ///< floats from row to row of the gates
  const float* h_before = nullptr;  ///< h', [rows][units]
  std::size_t ldh_before = 0;       ///< floats from row to row of h'
  float* h = nullptr;               ///< [rows][units], may be h'
  std::size_t ldh = 0;              ///< floats from row to row of h
};

/// Computes gates and h; conditions as for lstm_forward.
LOCKSTEP_API void gru_forward(const GruForward& step);

/// The way back through the same timestep.
struct GruBackward {
  std::size_t rows = 0;             ///< sequences
  std::size_t units = 0;            ///< of each gate
  std::size_t gate_stride = 0;      ///< floats from one gate to the next, also of the deltas
  const float* gates = nullptr;     ///< as gru_forward left them
  std::size_t ldg = 0;              ///< floats from row to row of the gates
  const float* h_before = nullptr;  ///< h', [rows][units]
  std::size_t ldh_before = 0;       ///< floats from row to row of h'
  float* dh = nullptr;              ///< dLoss/dh, becomes dh z, the part of h' without products
  std::size_t lddh = 0;             ///< floats from row to row of dh
  float* deltas = nullptr;          ///< gradients of n_x, r, z, n_h, arranged as the gates
  std::size_t ldd = 0;              ///< floats from row to row of the deltas
};

/// Gradients of the sums from those of h; conditions as for lstm_backward.
LOCKSTEP_API void gru_backward(const GruBackward& step);

}  // namespace lockstep
