#pragma once

#include <cstddef>

#include "lockstep/gemm.h"

namespace lockstep {

// k rows and `cols` columns of op(B), times alpha, for panels of `width` columns. `b` is the first
// of them.
struct PanelCopy {
  Transpose transpose;
  std::size_t k;
  std::size_t cols;
  float alpha;
  const float* b;
  std::size_t ldb;
  std::size_t width;
  std::size_t panel_stride;  // floats from panel to panel, at least k * width
};

// Each panel is k rows of `width` floats, the last zero beyond `cols`.
void pack_panels(const PanelCopy& copy, float* panels);

}  // namespace lockstep
