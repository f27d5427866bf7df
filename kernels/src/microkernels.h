// What a backend is: a table of micro-kernels and the tile size they work in, and nothing else.
// Packing, blocking, planning and threading are above it and are written once.
#pragma once

#include <cstddef>

#include "definition.h"
#include "lockstep/gates.h"
#include "lockstep/gemm.h"
#include "tuning.h"

namespace lockstep {

// What the strips of a product have in common, apart from the strip itself so that it is written
// once: a tile waits for what was written just before it is called.
using detail::StripPlan;

// One strip of a matrix product: `rows` rows by one panel of at most Backend::panel columns, or by
// panels_at_once() of them where rows are few. rows, cols > 0.
//
//   acc[i][j] = beta * start[i][j]              (0 where start is null)
//   acc[i][j] = fma(a[i][p], b[p][j], acc[i][j])  for p = 0 .. k-1 in this order
//   c[i][j]   = acc[i][j], or its product with 1 - h[i][j]^2 for Epilogue::tanh_gradient
//
// Epilogue::tanh is left to who runs the strips of a row (gemm/chain.h).
//
// Where `cols` do not fill whole vectors, rows of b must be readable up to the next multiple of the
// vector length (any contents), which b_is_padded says; otherwise the backend must say exact_b.
// Nothing beyond `cols` is read from start and h or written to c.
struct GemmStrip {
  const StripPlan* plan;
  std::size_t rows;
  std::size_t cols;
  const float* a;
  const float* b;
  // Rows that the next strip will read, as far apart as those of b, and its part of c, to be
  // prefetched; or null.
  const float* next_b;
  float* next_c = nullptr;
  // Are the pages of a and c touched a tile ahead? Then a core looks up several at once.
  bool touches_pages = false;
  const float* start;
  float* c;
  const float* h;
};

// Rows of a matrix, whole panels of them side by side, that are copied times alpha: panel q to
// to + q * panel_stride, its rows one behind another. rows, panels > 0. With alpha = 1 nothing is
// multiplied, which could flush denormals.
struct PanelRows {
  std::size_t rows;
  std::size_t panels;
  const float* from;
  std::ptrdiff_t row_stride;
  float* to;
  std::size_t panel_stride;
  std::size_t ahead;  // rows that are prefetched before their turn
  float alpha;
};

// Rows of a softmax: y[i][j] = exp(x[i][j] - max_i) * (scale / sum_i), or of its logarithm,
// y[i][j] = x[i][j] - max_i - log(sum_i). `max` and `sum` (each [rows]) may be null, and so may y
// in a softmax. cols > 0.
//
// Sums have the order that definition.h gives them.
struct SoftmaxRows {
  std::size_t rows;
  std::size_t cols;
  const float* x;
  std::ptrdiff_t x_row_stride;
  float* y;
  std::ptrdiff_t y_row_stride;
  float* max = nullptr;
  float* sum = nullptr;
  float scale = 1;
};

// The first of the nearly equal parts, of at most `most`, that `count` is cut into: a tile of one
// row would waste most of its loads, a short block of k lacks the steps to prefetch the next.
constexpr std::size_t even_part(std::size_t count, std::size_t most) {
  if (count <= most) return count;  // spares a division where it would show
  const std::size_t parts = (count + most - 1) / most;
  return (count + parts - 1) / parts;
}

// Panels that a strip of this number of rows takes at once. Fewer chains than a core has in flight
// leave it waiting; three rows and more have enough, or no registers left for more.
constexpr std::size_t panels_at_once(std::size_t rows, std::size_t panel, std::size_t lanes) {
  if (rows > 2) return 1;
  std::size_t panels = 1;
  while (rows * panels * panel < kChainsInFlight * lanes) panels *= 2;
  return panels;
}

// The slots are references, so that a table with one missing does not compile.
struct Backend {
  const char* library;            // "highway", "xsimd", "reference"
  const char* target;             // "avx3", ...: of Highway as compiled, of xsimd as asked for
  bool fused;                     // has fused multiply-add: takes part in the promise of equal bits
  std::size_t lanes;              // float32 per vector
  std::size_t panel;              // columns of a packed panel
  std::size_t panels_at_once[2];  // of strips of one row and of two
  bool exact_b;                   // reads nothing of b beyond the columns of a strip
  void (&gemm_strip)(const GemmStrip&);
  // One row times a matrix as it is in memory, any number of columns, no epilogue; exact_b only.
  void (&gemv_strip)(const GemmStrip&);
  void (&copy_panels)(const PanelRows&);
  void (&tanh)(const float* x, float* y, std::size_t n);
  // In place, of rows that are `stride` floats apart.
  void (&tanh_rows)(float* x, std::size_t rows, std::size_t cols, std::ptrdiff_t stride);
  void (&exp)(const float* x, float* y, std::size_t n);
  void (&sigmoid)(const float* x, float* y, std::size_t n);
  void (&relu)(const float* x, float* y, std::size_t n);
  void (&softmax)(const SoftmaxRows&);
  void (&log_softmax)(const SoftmaxRows&);
  void (&lstm_forward)(const LstmForward&);
  void (&lstm_backward)(const LstmBackward&);
  void (&gru_forward)(const GruForward&);
  void (&gru_backward)(const GruBackward&);
};

inline std::size_t panels_at_once(const Backend& backend, std::size_t rows) {
  return rows > 2 ? 1 : backend.panels_at_once[rows - 1];
}

// Gives a backend's table. It may run instructions of its target, so it is called only where the
// CPU has them.
using BackendTable = const Backend& (*)();

}  // namespace lockstep
