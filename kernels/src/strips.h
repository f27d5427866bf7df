// From one strip of a product to many.
#pragma once

#include <algorithm>
#include <cstddef>

#include "microkernels.h"

namespace lockstep {

// Runs a strip whose k may be large: block by block, the partial sums waiting in C.
inline void run_in_depth_blocks(const Backend& backend, const GemmStrip& whole) {
  if (whole.plan.k <= kDepthBlock) return backend.gemm_strip(whole);
  StripPlan plan = whole.plan;
  const float* start = whole.start;
  const std::size_t depth = block_depth(whole.plan.k);
  for (std::size_t done = 0; done < whole.plan.k; done += depth) {
    const bool last = whole.plan.k - done <= depth;
    plan.k = last ? whole.plan.k - done : depth;
    plan.epilogue = last ? whole.plan.epilogue : Epilogue::none;
    const auto first = static_cast<std::ptrdiff_t>(done);
    const float* b = whole.b + first * plan.b_k_stride;
    const float* next_b = whole.next_b;
    if (next_b != nullptr && !last)
      next_b = b + static_cast<std::ptrdiff_t>(depth) * plan.b_k_stride;
    backend.gemm_strip({.plan = plan,
                        .rows = whole.rows,
                        .cols = whole.cols,
                        .a = whole.a + first * plan.a_k_stride,
                        .b = b,
                        .next_b = next_b,
                        .start = start,
                        .c = whole.c,
                        .h = whole.h});
    start = whole.c;
    plan.start_row_stride = plan.c_row_stride;
    plan.beta = 1.0f;
  }
}

// Runs the columns of a strip of any number of them, so many panels at a time. If `fetches`, each
// strip brings the next into cache by the way (if it is as wide as a panel), and the last the
// first, which is most likely to be needed next. The strips are one variable, moved along: filling
// in another takes as long as a small tile.
inline void run_strips(const Backend& backend, std::size_t panels, bool fetches, GemmStrip strip) {
  const std::size_t width = panels * backend.panel;
  const std::ptrdiff_t step = static_cast<std::ptrdiff_t>(panels) * strip.plan.b_panel_stride;
  const float* first = strip.b;
  std::size_t cols = strip.cols;
  for (strip.cols = width; cols > width; cols -= width) {
    if (fetches) strip.next_b = strip.b + step;
    run_in_depth_blocks(backend, strip);
    strip.b += step;
    strip.c += width;
    if (strip.start != nullptr) strip.start += width;
    if (strip.h != nullptr) strip.h += width;
  }
  strip.cols = cols;
  if (fetches) strip.next_b = first;
  run_in_depth_blocks(backend, strip);
}

}  // namespace lockstep
