#pragma once

#include <cstddef>

#include "lockstep/gemm.h"
#include "microkernels.h"

namespace lockstep {

// k rows and `cols` columns of op(B), times alpha, for panels of a backend. `b` is the first of
// them.
struct PanelCopy {
  Transpose transpose;
  std::size_t k;
  std::size_t cols;
  float alpha;
  const float* b;
  std::size_t ldb;
  std::size_t panel_stride;  // floats from panel to panel, at least k * panel
};

// Each panel is k rows of Backend::panel floats, the last zero beyond `cols`.
void pack_panels(const PanelCopy& copy, const Backend& backend, float* panels);

}  // namespace lockstep
