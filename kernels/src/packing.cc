#include "packing.h"

#include <algorithm>

namespace lockstep {
namespace {

void pack_rows(std::size_t k, std::size_t cols, float alpha, const float* b, std::size_t ldb,
               std::size_t width, float* panel) {
  for (std::size_t p = 0; p < k; ++p, b += ldb, panel += width) {
    if (alpha == 1.0f) {
      std::copy_n(b, cols, panel);
    } else {
      for (std::size_t j = 0; j < cols; ++j) panel[j] = alpha * b[j];
    }
    std::fill(panel + cols, panel + width, 0.0f);
  }
}

// In squares that stay in the first-level cache, since one side is always read or written across.
void pack_columns(std::size_t k, std::size_t cols, float alpha, const float* b, std::size_t ldb,
                  std::size_t width, float* panel) {
  constexpr std::size_t kSquare = 16;
  for (std::size_t p0 = 0; p0 < k; p0 += kSquare) {
    const std::size_t p1 = std::min(k, p0 + kSquare);
    for (std::size_t j = 0; j < cols; ++j) {
      for (std::size_t p = p0; p < p1; ++p) panel[p * width + j] = alpha * b[j * ldb + p];
    }
    for (std::size_t p = p0; p < p1; ++p) {
      std::fill(panel + p * width + cols, panel + (p + 1) * width, 0.0f);
    }
  }
}

}  // namespace

void pack_panel(Transpose transpose, std::size_t k, std::size_t cols, float alpha, const float* b,
                std::size_t ldb, std::size_t width, float* panel) {
  const auto pack = transpose == Transpose::no ? pack_rows : pack_columns;
  pack(k, cols, alpha, b, ldb, width, panel);
}

}  // namespace lockstep
