#include "gemm/blocked.h"

#include <algorithm>

#include "gemm/packing.h"
#include "gemm/thread_memory.h"

namespace lockstep {
namespace {

struct BlockedProduct {
  const Product& product;
  const Backend& backend;
  const Choice& choice;
  const Operands& operands;
  Range rows;
  Range panels;

  // All columns of a block of k come before the next block, whose rows of B are then in about as
  // many pages as the second-level TLB holds.
  void run() const {
    const StripPlan whole = plan_strips(product, backend, choice);
    for_each_block_of_k(whole, choice.depth, [&](const StripPlan& plan, std::size_t p) {
      for (std::size_t first = panels.begin; first < panels.end; first += choice.panels_together) {
        run_panels(plan, {first, std::min(first + choice.panels_together, panels.end)}, p);
      }
    });
  }

  // Some panels over a block of k that begins at p.
  void run_panels(const StripPlan& plan, Range some, std::size_t p) const {
    const std::size_t column = some.begin * backend.panel;
    const std::size_t cols = std::min(some.end * backend.panel, product.n) - column;
    Operands at_p = operands;
    at_p.a = choice.copies_a ? nullptr : at_p.a + static_cast<std::ptrdiff_t>(p) * plan.a_k_stride;
    at_p.b = choice.copies_b ? copy_b(plan, column, cols, p) : b_at(p, column);
    if (p > 0) at_p.start = operands.c;
    const float* after = choice.prefetches_b ? b_after(some.end, p, plan.k) : nullptr;
    for (std::size_t row = rows.begin; row < rows.end; row += choice.row_block) {
      const std::size_t count = std::min(choice.row_block, rows.end - row);
      GemmStrip strip = strip_at(plan, at_p, row, count, column, cols);
      if (choice.copies_a) strip.a = copy_a(plan, row, count, p);
      strip.touches_pages = choice.touches_pages;
      run_strips(backend, panels_at_once(backend, count), choice.prefetches_b, after, strip);
    }
  }

  [[nodiscard]] const float* b_at(std::size_t p, std::size_t column) const {
    return operands.b + (product.transpose_b == Transpose::no ? p * product.ldb + column
                                                              : column * product.ldb + p);
  }

  // What is read of B, in place, after the panels before `panel` of the block of k from p on.
  [[nodiscard]] const float* b_after(std::size_t panel, std::size_t p, std::size_t depth) const {
    if (panel < panels.end) return b_at(p, panel * backend.panel);
    return p + depth < product.k ? b_at(p + depth, panels.begin * backend.panel) : nullptr;
  }

  // op(A) in rows as long as a block of k.
  [[nodiscard]] const float* copy_a(const StripPlan& plan, std::size_t row, std::size_t count,
                                    std::size_t p) const {
    float* copy = thread_memory(CopyOf::a, count * choice.depth);
    transpose(plan.k, count, operands.a + p * product.lda + row, product.lda, copy, choice.depth);
    return copy;
  }

  // alpha * op(B) in panels as long as a block of k.
  [[nodiscard]] const float* copy_b(const StripPlan& plan, std::size_t column, std::size_t cols,
                                    std::size_t p) const {
    const auto panel_size = static_cast<std::size_t>(plan.b_panel_stride);
    float* copy = thread_memory(CopyOf::b, divide_up(cols, backend.panel) * panel_size);
    pack_panels({.transpose = product.transpose_b,
                 .k = plan.k,
                 .cols = cols,
                 .alpha = product.alpha,
                 .b = b_at(p, column),
                 .ldb = product.ldb,
                 .panel_stride = panel_size},
                backend, copy);
    return copy;
  }
};

}  // namespace

void multiply_blocked(const Product& product, const Backend& backend, const Choice& choice,
                      const Operands& operands, Range rows, Range panels) {
  BlockedProduct{product, backend, choice, operands, rows, panels}.run();
}

}  // namespace lockstep
