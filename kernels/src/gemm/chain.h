// From one strip of a product to many, and from one block of k to the next.
#pragma once

#include <algorithm>
#include <cstddef>

#include "gemm/blocking.h"
#include "microkernels.h"

namespace lockstep {

// Cuts the chain of every element (definition.h) into blocks of `depth` steps of k, the last
// perhaps of fewer, and continues it from block to block in C. Calls run(plan, first step of k).
template <class Run>
[[gnu::always_inline]] inline void for_each_block_of_k(const StripPlan& whole, std::size_t depth,
                                                       const Run& run) {
  if (whole.k <= depth) return run(whole, 0);
  StripPlan plan = whole;
  for (std::size_t done = 0; done < whole.k; done += depth) {
    const bool is_last = whole.k - done <= depth;
    plan.k = is_last ? whole.k - done : depth;
    plan.epilogue = is_last ? whole.epilogue : Epilogue::none;
    run(plan, done);
    plan.start_row_stride = plan.c_row_stride;
    plan.beta = 1.0f;
  }
}

// What is null stays null.
template <class Offset>
const float* at(const float* p, Offset offset) {
  return p == nullptr ? nullptr : p + offset;
}

// `b` is the first column that is multiplied; start and h may be null.
struct Operands {
  const float* a = nullptr;
  const float* b = nullptr;
  const float* start = nullptr;
  float* c = nullptr;
  const float* h = nullptr;
};

// `rows` rows from `row` on by `cols` columns from `column` on, where operands.b begins.
inline GemmStrip strip_at(const StripPlan& plan, const Operands& operands, std::size_t row,
                          std::size_t rows, std::size_t column, std::size_t cols) {
  const auto i = static_cast<std::ptrdiff_t>(row);
  return {.plan = &plan,
          .rows = rows,
          .cols = cols,
          .a = at(operands.a, i * plan.a_row_stride),
          .b = operands.b,
          .next_b = nullptr,
          .start = at(at(operands.start, i * plan.start_row_stride), column),
          .c = operands.c + i * plan.c_row_stride + column,
          .h = at(at(operands.h, i * plan.h_row_stride), column)};
}

// Runs a strip whose k may be large.
inline void run_strip(const Backend& backend, const GemmStrip& whole) {
  if (whole.plan->k <= kDepthBlock) return backend.gemm_strip(whole);
  const std::size_t depth = even_part(whole.plan->k, kDepthBlock);
  GemmStrip strip = whole;
  for_each_block_of_k(*whole.plan, depth, [&](const StripPlan& plan, std::size_t done) {
    const auto steps = static_cast<std::ptrdiff_t>(plan.k);
    strip.plan = &plan;
    strip.next_b = whole.next_b != nullptr && done + plan.k < whole.plan->k
                       ? strip.b + steps * plan.b_k_stride
                       : whole.next_b;
    backend.gemm_strip(strip);
    strip.a += steps * plan.a_k_stride;
    strip.b += steps * plan.b_k_stride;
    strip.start = whole.c;
  });
}

// Runs a strip of any number of columns, `panels` of them at a time. If `prefetches`, each
// prefetches the next, and the last `after`. The strips are one variable that is moved along,
// because to fill in another takes as long as a small tile.
[[gnu::always_inline]] inline void run_strips(const Backend& backend, std::size_t panels,
                                              bool prefetches, const float* after,
                                              GemmStrip strip) {
  const std::size_t width = panels * backend.panel;
  const std::ptrdiff_t step = static_cast<std::ptrdiff_t>(panels) * strip.plan->b_panel_stride;
  std::size_t cols = strip.cols;
  for (strip.cols = width; cols > width; cols -= width) {
    if (prefetches) strip.next_b = strip.b + step;
    strip.next_c = strip.c + width;
    run_strip(backend, strip);
    strip.touches_pages = false;  // the next panels meet the same ones
    strip.b += step;
    strip.c += width;
    if (strip.start != nullptr) strip.start += width;
    if (strip.h != nullptr) strip.h += width;
  }
  strip.cols = cols;
  strip.next_c = nullptr;
  if (prefetches) strip.next_b = after;
  run_strip(backend, strip);
}

// Rows of A per block: no more than a small second-level cache holds beside the panels, which would
// otherwise wait for A again and again.
inline std::size_t rows_together(std::size_t m, std::size_t k) {
  if (m * k * sizeof(float) <= kResidentRows || !blocking().small_l2) return kRowBlock;
  const std::size_t tiles = kResidentRows / (kTileRows * k * sizeof(float));
  return std::min(kRowBlock, even_part(m, std::max<std::size_t>(1, tiles) * kTileRows));
}

// Runs `m` rows of a plan. If `prefetches`, panels are, in the order of their use. The tanh of a
// block of rows follows while a cache has them.
[[gnu::always_inline]] inline void run_rows(const detail::ProductPlan& plan, std::size_t m,
                                            const Operands& operands, bool prefetches) {
  const std::size_t panels = panels_at_once(*plan.backend, m);
  const std::size_t most = rows_together(m, plan.strips.k);
  for (std::size_t row = 0; row < m; row += most) {
    const std::size_t rows = std::min(most, m - row);
    run_strips(*plan.backend, panels, prefetches, operands.b,
               strip_at(plan.strips, operands, row, rows, plan.first_column, plan.cols));
    if (plan.strips.epilogue == Epilogue::tanh) {
      const std::ptrdiff_t stride = plan.strips.c_row_stride;
      float* c = operands.c + static_cast<std::ptrdiff_t>(row) * stride + plan.first_column;
      plan.backend->tanh_rows(c, rows, plan.cols, stride);
    }
  }
}

}  // namespace lockstep
