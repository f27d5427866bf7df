// Many products of one shape: planned once, shared by threads product by product.
#include <algorithm>
#include <string>

#include "dispatch.h"
#include "gemm/packing.h"
#include "gemm/planned.h"
#include "gemm/thread_memory.h"
#include "lockstep/detail/require.h"
#include "lockstep/gemm_batch.h"
#include "lockstep/threads.h"

namespace lockstep {
namespace {

constexpr const char* kName = "gemm_batch";

[[noreturn, gnu::cold, gnu::noinline]] void fail_at(const char* array, std::size_t index) {
  throw InvalidArgument(std::string(kName) + ": " + array + "[" + std::to_string(index) +
                        "] is null");
}

template <class Float>
void require_entries(Float* const* array, std::size_t count, const char* name) {
  const auto null = static_cast<std::size_t>(std::find(array, array + count, nullptr) - array);
  if (null != count) fail_at(name, null);
}

// Operands at pointers of their own.
struct PointerBatch {
  const float* const* a_of;
  const float* const* b_of;
  float* const* c_of;

  void check(const PlannedProduct& p, std::size_t count) const {
    require(c_of != nullptr, kName, "c is null");
    require_entries(c_of, count, "c");
    if (p.choice.path == Path::scaled) return;  // reads neither
    require(a_of != nullptr && b_of != nullptr, kName, "a or b is null");
    require_entries(a_of, count, "a");
    require_entries(b_of, count, "b");
  }
  [[nodiscard]] const float* a(std::size_t i) const { return a_of[i]; }
  [[nodiscard]] const float* b(std::size_t i) const { return b_of[i]; }
  [[nodiscard]] float* c(std::size_t i) const { return c_of[i]; }
};

// Products that follow one another, or lie side by side in the rows of one matrix. Divides, as
// the products of what a caller gives might overflow.
bool are_apart(const Product& p, std::size_t stride_c, std::size_t count) {
  if (stride_c < p.n) return false;
  return p.m - 1 <= (stride_c - p.n) / p.ldc || count - 1 <= (p.ldc - p.n) / stride_c;
}

// Operands at equal distances.
struct StridedBatch {
  const float* first_a;
  std::size_t stride_a;
  const float* first_b;
  std::size_t stride_b;
  float* first_c;
  std::size_t stride_c;

  void check(const PlannedProduct& p, std::size_t count) const {
    require(count == 1 || are_apart(p.product, stride_c, count), kName,
            "stride_c makes products overlap in C");
    require(first_c != nullptr, kName, "c is null");
    if (p.choice.path == Path::scaled) return;  // reads neither
    require(first_a != nullptr && first_b != nullptr, kName, "a or b is null");
  }
  [[nodiscard]] const float* a(std::size_t i) const { return first_a + i * stride_a; }
  [[nodiscard]] const float* b(std::size_t i) const { return first_b + i * stride_b; }
  [[nodiscard]] float* c(std::size_t i) const { return first_c + i * stride_c; }
};

// Products of the same B on this thread, block by block of B: each is copied into panels once, and
// meets the products one after another.
template <class Batch>
class ProductsOfOneB {
 public:
  // Whether a product copies B, and one thread takes all of it.
  static bool can_run(const PlannedProduct& p) {
    const Choice& c = p.choice;
    return c.path == Path::blocked && c.threads == 1 && c.copies_b && !c.copies_a;
  }

  ProductsOfOneB(const PlannedProduct& p, const Batch& batch, Range range)
      : p_(p), batch_(batch), range_(range) {}

  void run() const {
    const std::size_t panels = divide_up(p_.product.n, p_.backend.panel);
    const std::size_t together = p_.choice.panels_together;
    for_each_block_of_k(plan_strips(p_.product, p_.backend, p_.choice), p_.choice.depth,
                        [&](const StripPlan& plan, std::size_t k) {
                          for (std::size_t first = 0; first < panels; first += together) {
                            run_panels(plan, {first, std::min(first + together, panels)}, k);
                          }
                        });
  }

 private:
  // Some panels over a block of k that begins at `k`.
  void run_panels(const StripPlan& plan, Range panels, std::size_t k) const {
    const std::size_t column = panels.begin * p_.backend.panel;
    const std::size_t cols = std::min(panels.end * p_.backend.panel, p_.product.n) - column;
    const float* b = copy_b(plan, column, cols, k);
    const bool has_start = k > 0 || p_.product.beta != 0.0f;
    for (std::size_t i = range_.begin; i < range_.end; ++i) {
      const Operands operands{.a = batch_.a(i) + static_cast<std::ptrdiff_t>(k) * plan.a_k_stride,
                              .b = b,
                              .start = has_start ? batch_.c(i) : nullptr,
                              .c = batch_.c(i)};
      for (std::size_t row = 0; row < p_.product.m; row += p_.choice.row_block) {
        const std::size_t rows = std::min(p_.choice.row_block, p_.product.m - row);
        GemmStrip strip = strip_at(plan, operands, row, rows, column, cols);
        strip.touches_pages = p_.choice.touches_pages;
        run_strips(p_.backend, panels_at_once(p_.backend, rows), /*prefetches=*/false, nullptr,
                   strip);
      }
    }
  }

  // alpha * op(B) in panels as long as a block of k.
  [[nodiscard]] const float* copy_b(const StripPlan& plan, std::size_t column, std::size_t cols,
                                    std::size_t k) const {
    const Product& product = p_.product;
    const auto panel_size = static_cast<std::size_t>(plan.b_panel_stride);
    float* copy = thread_memory(CopyOf::b, divide_up(cols, p_.backend.panel) * panel_size);
    const bool is_plain = product.transpose_b == Transpose::no;
    pack_panels({.transpose = product.transpose_b,
                 .k = plan.k,
                 .cols = cols,
                 .alpha = product.alpha,
                 .b = batch_.b(range_.begin) +
                      (is_plain ? k * product.ldb + column : column * product.ldb + k),
                 .ldb = product.ldb,
                 .panel_stride = panel_size},
                p_.backend, copy);
    return copy;
  }

  const PlannedProduct& p_;
  const Batch& batch_;
  Range range_;
};

// The first products of a range, which have the same B.
template <class Batch>
Range products_of_one_b(const Batch& batch, Range range) {
  std::size_t end = range.begin + 1;
  while (end < range.end && batch.b(end) == batch.b(range.begin)) ++end;
  return {range.begin, end};
}

// Product by product, on this thread or on all threads of a product.
template <class Batch>
void run_each(const PlannedProduct& p, const Batch& batch, Range range) {
  for (std::size_t i = range.begin; i < range.end; ++i) {
    if (p.choice.path == Path::whole) {
      multiply_whole(p.product, p.backend, p.whole, batch.a(i), batch.b(i), batch.c(i));
    } else if (p.choice.path == Path::scaled) {
      multiply(p, nullptr, nullptr, batch.c(i));
    } else {
      multiply(p, batch.a(i), batch.b(i), batch.c(i));
    }
  }
}

template <class Batch>
void run_range(const PlannedProduct& p, const Batch& batch, Range range) {
  if (!ProductsOfOneB<Batch>::can_run(p)) return run_each(p, batch, range);
  while (range.begin < range.end) {
    const Range products = products_of_one_b(batch, range);
    if (products.size() == 1) {
      run_each(p, batch, products);
    } else {
      ProductsOfOneB(p, batch, products).run();
    }
    range.begin = products.end;
  }
}

template <class Batch>
void run_all(const PlannedProduct& p, std::size_t count, const Batch& batch) {
  if (count == 0 || p.choice.path == Path::nothing) return;
  batch.check(p, count);
  const int threads = threads_over_products(p.product, p.choice, p.threads, count);
  if (threads == 1) return run_range(p, batch, {0, count});
  const PlannedProduct alone = p.choice.threads == 1 ? p : planned(p.product, p.backend, 1);
  const std::size_t even = count - products_left(p.choice, threads, count);
  parallel(threads, [&](const Team& team) {
    run_range(alone, batch, share(even, team.index(), team.size()));
  });
  run_range(p, batch, {even, count});
}

}  // namespace

void multiply_batch(const PlannedProduct& p, std::size_t count, const float* const* a,
                    const float* const* b, float* const* c) {
  run_all(p, count, PointerBatch{a, b, c});
}

void gemm_batch(Transpose transpose_a, Transpose transpose_b, std::size_t m, std::size_t n,
                std::size_t k, float alpha, const float* const* a, std::size_t lda,
                const float* const* b, std::size_t ldb, float beta, float* const* c,
                std::size_t ldc, std::size_t count, int threads) {
  const PlannedProduct p = checked_plan(
      {transpose_a, transpose_b, m, n, k, alpha, lda, ldb, beta, ldc}, dispatch(), threads);
  multiply_batch(p, count, a, b, c);
}

void gemm_batch_strided(Transpose transpose_a, Transpose transpose_b, std::size_t m, std::size_t n,
                        std::size_t k, float alpha, const float* a, std::size_t lda,
                        std::size_t stride_a, const float* b, std::size_t ldb, std::size_t stride_b,
                        float beta, float* c, std::size_t ldc, std::size_t stride_c,
                        std::size_t count, int threads) {
  const PlannedProduct p = checked_plan(
      {transpose_a, transpose_b, m, n, k, alpha, lda, ldb, beta, ldc}, dispatch(), threads);
  run_all(p, count, StridedBatch{a, stride_a, b, stride_b, c, stride_c});
}

void GemmPlan::run_batch(std::size_t count, const float* const* a, const float* const* b,
                         float* const* c) const {
  const PlannedProduct& p = state_->product;
  note_backend(p.backend);
  multiply_batch(p, count, a, b, c);
}

void GemmPlan::run_batch_strided(std::size_t count, const float* a, std::size_t stride_a,
                                 const float* b, std::size_t stride_b, float* c,
                                 std::size_t stride_c) const {
  const PlannedProduct& p = state_->product;
  note_backend(p.backend);
  run_all(p, count, StridedBatch{a, stride_a, b, stride_b, c, stride_c});
}

}  // namespace lockstep
