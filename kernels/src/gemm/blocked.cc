#include "gemm/blocked.h"

#include <algorithm>

#include "gemm/chain.h"
#include "gemm/packing.h"
#include "lockstep/aligned_vector.h"

namespace lockstep {
namespace {

// Memory of this thread for at least `size` floats, kept for later products.
float* reserve(AlignedVector<float>& memory, std::size_t size) {
  if (memory.size() < size) memory.resize(size);
  return memory.data();
}

class BlockedProduct {
 public:
  BlockedProduct(const Product& product, const Backend& backend, const Choice& choice,
                 const Operands& operands, Range rows, Range panels)
      : product_(product),
        backend_(backend),
        choice_(choice),
        operands_(operands),
        rows_(rows),
        panels_(panels) {}

  // All columns of a block of k come before the next block, whose rows of B are then in about as
  // many pages as the second-level TLB holds.
  void run() const {
    const StripPlan whole = plan_strips(product_, backend_, choice_);
    for_each_block_of_k(whole, choice_.depth, [&](const StripPlan& plan, std::size_t p) {
      for (std::size_t first = panels_.begin; first < panels_.end;
           first += choice_.panels_together) {
        run_panels(plan, {first, std::min(first + choice_.panels_together, panels_.end)}, p);
      }
    });
  }

 private:
  // These panels over a block of k that begins at p.
  void run_panels(const StripPlan& plan, Range panels, std::size_t p) const {
    const std::size_t column = panels.begin * backend_.panel;
    const std::size_t cols = std::min(panels.end * backend_.panel, product_.n) - column;
    Operands at_p = operands_;
    at_p.a = choice_.copies_a ? nullptr : at_p.a + static_cast<std::ptrdiff_t>(p) * plan.a_k_stride;
    at_p.b = choice_.copies_b ? copy_b(plan, column, cols, p) : b_at(p, column);
    if (p > 0) at_p.start = operands_.c;
    const float* after = choice_.prefetches_b ? b_after(panels.end, p, plan.k) : nullptr;
    for (std::size_t row = rows_.begin; row < rows_.end; row += kRowBlock) {
      const std::size_t rows = std::min(kRowBlock, rows_.end - row);
      GemmStrip strip = strip_at(plan, at_p, row, rows, column, cols);
      if (choice_.copies_a) strip.a = copy_a(plan, row, rows, p);
      run_strips(backend_, panels_at_once(backend_, rows), choice_.prefetches_b, after, strip);
    }
  }

  [[nodiscard]] const float* b_at(std::size_t p, std::size_t column) const {
    return operands_.b + (product_.transpose_b == Transpose::no ? p * product_.ldb + column
                                                                : column * product_.ldb + p);
  }

  // What is read of B, in place, after the panels before `panel` of the block of k from p on.
  [[nodiscard]] const float* b_after(std::size_t panel, std::size_t p, std::size_t depth) const {
    if (panel < panels_.end) return b_at(p, panel * backend_.panel);
    return p + depth < product_.k ? b_at(p + depth, panels_.begin * backend_.panel) : nullptr;
  }

  // op(A) in rows as long as a block of k.
  [[nodiscard]] const float* copy_a(const StripPlan& plan, std::size_t row, std::size_t rows,
                                    std::size_t p) const {
    thread_local AlignedVector<float> memory;
    float* copy = reserve(memory, rows * choice_.depth);
    transpose(plan.k, rows, operands_.a + p * product_.lda + row, product_.lda, copy,
              choice_.depth);
    return copy;
  }

  // alpha * op(B) in panels as long as a block of k.
  [[nodiscard]] const float* copy_b(const StripPlan& plan, std::size_t column, std::size_t cols,
                                    std::size_t p) const {
    thread_local AlignedVector<float> memory;
    const auto panel_size = static_cast<std::size_t>(plan.b_panel_stride);
    float* copy = reserve(memory, divide_up(cols, backend_.panel) * panel_size);
    pack_panels({.transpose = product_.transpose_b,
                 .k = plan.k,
                 .cols = cols,
                 .alpha = product_.alpha,
                 .b = b_at(p, column),
                 .ldb = product_.ldb,
                 .width = backend_.panel,
                 .panel_stride = panel_size},
                copy);
    return copy;
  }

  const Product& product_;
  const Backend& backend_;
  const Choice& choice_;
  const Operands& operands_;
  Range rows_;
  Range panels_;
};

}  // namespace

void multiply_blocked(const Product& product, const Backend& backend, const Choice& choice,
                      const Operands& operands, Range rows, Range panels) {
  BlockedProduct(product, backend, choice, operands, rows, panels).run();
}

}  // namespace lockstep
