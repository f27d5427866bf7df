#include "gemm/packing.h"

#include <algorithm>
#include <cstring>
#include <functional>

#include "gemm/blocking.h"
#include "lockstep/detail/require.h"

namespace lockstep {
namespace {

// Rows to prefetch where they may come from beyond the second-level cache: they are kilobytes
// apart, which no hardware prefetcher follows.
std::size_t rows_ahead(const PanelCopy& c) {
  return c.k * c.ldb * sizeof(float) > kPackedResidentBytes ? blocking().packed_rows_ahead : 0;
}

// The columns of a panel that they do not fill.
void pack_columns(const PanelCopy& c, std::size_t first, std::size_t count, std::size_t width,
                  float* panel) {
  for (std::size_t p = 0; p < c.k; ++p, panel += width) {
    const float* b = c.b + p * c.ldb + first;
    // No multiplication by 1, which could flush denormals.
    for (std::size_t j = 0; j < count; ++j) panel[j] = c.alpha == 1.0f ? b[j] : c.alpha * b[j];
    std::fill(panel + count, panel + width, 0.0f);
  }
}

void pack_plain(const PanelCopy& c, const Backend& backend, float* panels) {
  const std::size_t width = backend.panel;
  const std::size_t whole = c.cols / width;
  const std::size_t together = std::max<std::size_t>(kPackedColumns / width, 1);
  for (std::size_t q = 0; q < whole; q += together) {
    backend.copy_panels({.rows = c.k,
                         .panels = std::min(together, whole - q),
                         .from = c.b + q * width,
                         .row_stride = static_cast<std::ptrdiff_t>(c.ldb),
                         .to = panels + q * c.panel_stride,
                         .panel_stride = c.panel_stride,
                         .ahead = rows_ahead(c),
                         .alpha = c.alpha});
  }
  panels += whole * c.panel_stride;
  for (std::size_t j = whole * width; j < c.cols; j += width, panels += c.panel_stride) {
    pack_columns(c, j, std::min(width, c.cols - j), width, panels);
  }
}

// Four floats, which every target has without being asked; both compilers know the notation.
using Quad [[gnu::vector_size(16)]] = float;
constexpr std::size_t kQuad = 4;

Quad load(const float* p) {
  Quad x;
  std::memcpy(&x, p, sizeof x);
  return x;
}

void store(Quad x, float* p) { std::memcpy(p, &x, sizeof x); }

// panel[p][j] = scaled(b[j][p]) for a square of four.
template <class Scale>
void transpose_quads(Scale scaled, const float* b, std::size_t ldb, std::size_t width,
                     float* panel) {
  const Quad r0 = scaled(load(b));
  const Quad r1 = scaled(load(b + ldb));
  const Quad r2 = scaled(load(b + 2 * ldb));
  const Quad r3 = scaled(load(b + 3 * ldb));
  const Quad even01 = __builtin_shufflevector(r0, r1, 0, 4, 1, 5);
  const Quad even23 = __builtin_shufflevector(r2, r3, 0, 4, 1, 5);
  const Quad odd01 = __builtin_shufflevector(r0, r1, 2, 6, 3, 7);
  const Quad odd23 = __builtin_shufflevector(r2, r3, 2, 6, 3, 7);
  store(__builtin_shufflevector(even01, even23, 0, 1, 4, 5), panel);
  store(__builtin_shufflevector(even01, even23, 2, 3, 6, 7), panel + width);
  store(__builtin_shufflevector(odd01, odd23, 0, 1, 4, 5), panel + 2 * width);
  store(__builtin_shufflevector(odd01, odd23, 2, 3, 6, 7), panel + 3 * width);
}

// to[p][j] = scaled(b[j][p]): k rows of `width` floats, the first `cols` of them. As many columns
// at a time as fill a cache line, which is then written while it is at hand; and no more rows of b
// side by side than hardware prefetchers follow.
template <class Scale>
void transpose_block(std::size_t k, std::size_t cols, Scale scaled, const float* b, std::size_t ldb,
                     std::size_t width, float* to) {
  const std::size_t whole_k = k - k % kQuad;
  const std::size_t whole_cols = cols - cols % kQuad;
  for (std::size_t strip = 0; strip < whole_cols; strip += kTransposedColumns) {
    const std::size_t end = std::min(strip + kTransposedColumns, whole_cols);
    for (std::size_t p = 0; p < whole_k; p += kQuad) {
      for (std::size_t j = strip; j < end; j += kQuad) {
        transpose_quads(scaled, b + j * ldb + p, ldb, width, to + p * width + j);
      }
    }
  }
  for (std::size_t p = 0; p < k; ++p, to += width) {
    for (std::size_t j = p < whole_k ? whole_cols : 0; j < cols; ++j)
      to[j] = scaled(b[j * ldb + p]);
  }
}

void pack_transposed(const PanelCopy& c, std::size_t width, float* panel) {
  const auto times_alpha = [alpha = c.alpha](auto x) { return x * alpha; };
  for (std::size_t j = 0; j < c.cols; j += width, panel += c.panel_stride) {
    const std::size_t count = std::min(width, c.cols - j);
    const float* b = c.b + j * c.ldb;
    // No multiplication by 1, which could flush denormals.
    if (c.alpha == 1.0f) {
      transpose_block(c.k, count, std::identity(), b, c.ldb, width, panel);
    } else {
      transpose_block(c.k, count, times_alpha, b, c.ldb, width, panel);
    }
    if (count == width) continue;
    for (std::size_t p = 0; p < c.k; ++p) {
      std::fill(panel + p * width + count, panel + (p + 1) * width, 0.0f);
    }
  }
}

}  // namespace

void pack_panels(const PanelCopy& copy, const Backend& backend, float* panels) {
  if (copy.k == 0) return;
  if (copy.transpose == Transpose::no) {
    pack_plain(copy, backend, panels);
  } else {
    pack_transposed(copy, backend.panel, panels);
  }
}

void transpose(std::size_t rows, std::size_t cols, const float* a, std::size_t lda, float* t,
               std::size_t ldt) {
  if (rows == 0 || cols == 0) return;
  require(lda >= cols && ldt >= rows, "transpose", "a row stride is shorter than a row");
  require(a != nullptr && t != nullptr, "transpose", "a matrix is null");
  transpose_block(cols, rows, std::identity(), a, lda, ldt, t);
}

}  // namespace lockstep
