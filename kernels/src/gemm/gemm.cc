// Matrix products whose operands are as they are in memory.
#include "lockstep/gemm.h"

#include <cstdint>

#include "dispatch.h"
#include "gemm/blocked.h"
#include "gemm/path.h"
#include "gemm/planned.h"
#include "lockstep/detail/require.h"
#include "lockstep/threads.h"

namespace lockstep {
namespace {

static_assert(kAlignedColumns == kVirtualLanes, "rows are padded for the longest vector there is");

constexpr const char* kName = "gemm";

void require_strides(const Product& p) {
  if (p.m == 0 || p.n == 0) return;
  require(p.ldc >= p.n, kName, "ldc is shorter than a row of C");
  if (p.k == 0 || p.alpha == 0.0f) return;
  require(p.lda >= (p.transpose_a == Transpose::no ? p.k : p.m), kName,
          "lda is shorter than a row of A");
  require(p.ldb >= (p.transpose_b == Transpose::no ? p.n : p.k), kName,
          "ldb is shorter than a row of B");
}

// Names the arguments of the BLAS form; inline, as a small product waits for what goes by memory.
[[gnu::always_inline]] inline Product product_of(Transpose transpose_a, Transpose transpose_b,
                                                 std::size_t m, std::size_t n, std::size_t k,
                                                 float alpha, std::size_t lda, std::size_t ldb,
                                                 float beta, std::size_t ldc) {
  return {.transpose_a = transpose_a,
          .transpose_b = transpose_b,
          .m = m,
          .n = n,
          .k = k,
          .alpha = alpha,
          .lda = lda,
          .ldb = ldb,
          .beta = beta,
          .ldc = ldc};
}

Product product_of(const ConstMatrixView& a, const ConstMatrixView& b, const MatrixView& c,
                   const GemmOptions& options) {
  require(a.rows == c.rows && b.cols == c.cols && a.cols == b.rows, kName,
          "the shapes of A, B and C do not fit");
  require(c.transpose == Transpose::no, kName, "C is a transpose");
  return product_of(a.transpose, b.transpose, c.rows, c.cols, a.cols, options.alpha, a.stride,
                    b.stride, options.beta, c.stride);
}

void scale(const Product& p, float* c) {
  for (std::size_t i = 0; i < p.m; ++i, c += p.ldc) {
    for (std::size_t j = 0; j < p.n; ++j) c[j] = p.beta == 0.0f ? 0.0f : p.beta * c[j];
  }
}

// One row of A: the columns of `panels`, row after row of B.
void multiply_row(const Product& p, const Backend& backend, Operands operands, Range panels) {
  const StripPlan plan = plan_strips(p, backend, {});
  const float* b = operands.b;
  const std::size_t end = std::min(panels.end * backend.panel, p.n);
  for (std::size_t j = panels.begin * backend.panel; j < end; j += kGemvColumns) {
    operands.b = b + j;
    backend.gemv_strip(strip_at(plan, operands, 0, 1, j, std::min(kGemvColumns, end - j)));
  }
}

// Columns of a B in place before the first line that begins in each row, so that vectors after them
// are in one line each; 0 where there are none, or where rows differ or do not pay for it.
std::size_t columns_before_line(const Product& p, const Backend& backend, const Choice& choice,
                                const float* b) {
  if (p.n < kColumnsForAlignment || p.m <= 2 || p.ldb % kFloatsPerLine != 0) return 0;
  if (choice.copies_b || !backend.exact_b) return 0;
  return -(reinterpret_cast<std::uintptr_t>(b) / sizeof(float)) % kFloatsPerLine;
}

Product with_columns(Product p, std::size_t n) {
  p.n = n;
  return p;
}

// Threads share the panels or the rows; of the first `few` columns, the rows. No element is
// computed by two.
void multiply_shared(const Product& p, const Backend& backend, const Choice& choice,
                     const Operands& operands, std::size_t few) {
  const Product rest = with_columns(p, p.n - few);
  Operands from = operands;  // of the columns after them
  from.b += few;
  from.start = at(from.start, few);
  from.c += few;
  parallel(choice.threads, [&](const Team& team) {
    const Range all_rows{0, p.m};
    const Range my_rows = share(p.m, team.index(), team.size());
    Range panels{0, divide_up(rest.n, backend.panel)};
    if (choice.shares_panels) panels = share(panels.end, team.index(), team.size());
    if (choice.path == Path::row) return multiply_row(p, backend, operands, panels);
    if (few > 0) multiply_blocked(with_columns(p, few), backend, choice, operands, my_rows, {0, 1});
    multiply_blocked(rest, backend, choice, from, choice.shares_panels ? all_rows : my_rows,
                     panels);
  });
}

// Path::whole, the first `few` columns apart.
[[gnu::noinline]] void multiply_whole_from_line(const Product& p, const Backend& backend,
                                                const StripPlan& plan, const float* a,
                                                const float* b, float* c, std::size_t few) {
  multiply_whole(with_columns(p, few), backend, plan, a, b, c);
  multiply_whole(with_columns(p, p.n - few), backend, plan, a, b + few, c + few);
}

Choice checked_choice(const Product& p, const Backend& backend, int threads) {
  require_strides(p);
  return choose(p, traits_of(backend), resolve_threads(threads));
}

// `whole` gives the strips of Path::whole. Inline, as multiply_whole.
template <class Whole>
[[gnu::always_inline]] inline void multiply(const Product& p, const Backend& backend,
                                            const Choice& choice, const float* a, const float* b,
                                            float* c, const Whole& whole) {
  if (choice.path == Path::nothing) return;
  require(c != nullptr, kName, "C is null");
  if (choice.path == Path::scaled) return scale(p, c);
  require(a != nullptr && b != nullptr, kName, "A or B is null");
  const std::size_t few = columns_before_line(p, backend, choice, b);
  if (choice.path != Path::whole) {
    const float* start = p.beta == 0.0f ? nullptr : c;
    return multiply_shared(p, backend, choice, {.a = a, .b = b, .start = start, .c = c}, few);
  }
  if (few > 0) return multiply_whole_from_line(p, backend, whole(), a, b, c, few);
  multiply_whole(p, backend, whole(), a, b, c);
}

[[gnu::always_inline]] inline void multiply(const Product& p, int threads, const float* a,
                                            const float* b, float* c) {
  const Backend& backend = dispatch();
  multiply(p, backend, checked_choice(p, backend, threads), a, b, c,
           [&] { return plan_strips(p, backend, {}); });
}

}  // namespace

PlannedProduct planned(const Product& product, const Backend& backend, int threads) {
  PlannedProduct p{.product = product,
                   .backend = backend,
                   .threads = threads,
                   .choice = choose(product, traits_of(backend), threads)};
  if (p.choice.path == Path::whole) p.whole = plan_strips(product, backend, {});
  return p;
}

PlannedProduct checked_plan(const Product& product, const Backend& backend, int threads) {
  require_strides(product);
  return planned(product, backend, resolve_threads(threads));
}

void multiply(const PlannedProduct& p, const float* a, const float* b, float* c) {
  multiply(p.product, p.backend, p.choice, a, b, c, [&]() -> const StripPlan& { return p.whole; });
}

void gemm(Transpose transpose_a, Transpose transpose_b, std::size_t m, std::size_t n, std::size_t k,
          float alpha, const float* a, std::size_t lda, const float* b, std::size_t ldb, float beta,
          float* c, std::size_t ldc, int threads) {
  multiply(product_of(transpose_a, transpose_b, m, n, k, alpha, lda, ldb, beta, ldc), threads, a, b,
           c);
}

void gemm(const ConstMatrixView& a, const ConstMatrixView& b, const MatrixView& c,
          const GemmOptions& options) {
  multiply(product_of(a, b, c, options), options.threads, a.data, b.data, c.data);
}

GemmPlan::GemmPlan(Transpose transpose_a, Transpose transpose_b, std::size_t m, std::size_t n,
                   std::size_t k, float alpha, std::size_t lda, std::size_t ldb, float beta,
                   std::size_t ldc, int threads)
    : state_(std::make_unique<State>(State{
          checked_plan(product_of(transpose_a, transpose_b, m, n, k, alpha, lda, ldb, beta, ldc),
                       dispatch(), threads)})) {}
GemmPlan::GemmPlan(const ConstMatrixView& a, const ConstMatrixView& b, const MatrixView& c,
                   const GemmOptions& options)
    : state_(std::make_unique<State>(
          State{checked_plan(product_of(a, b, c, options), dispatch(), options.threads)})) {}
GemmPlan::~GemmPlan() = default;
GemmPlan::GemmPlan(GemmPlan&&) noexcept = default;
GemmPlan& GemmPlan::operator=(GemmPlan&&) noexcept = default;

void GemmPlan::run(const float* a, const float* b, float* c) const {
  const PlannedProduct& p = state_->product;
  note_backend(p.backend);
  multiply(p.product, p.backend, p.choice, a, b, c, [&]() -> const StripPlan& { return p.whole; });
}

void gemm_accumulate_transposed(std::size_t n, std::size_t k, const float* a, std::size_t lda,
                                const float* b, std::size_t ldb, float* c, std::size_t ldc,
                                std::size_t first_row, std::size_t last_row) {
  constexpr const char* kCaller = "gemm_accumulate_transposed";
  if (n == 0 || k == 0 || first_row >= last_row) return;
  require(ldb >= n && ldc >= n && lda >= last_row, kCaller, "a row stride is shorter than a row");
  require(a != nullptr && b != nullptr && c != nullptr, kCaller, "a matrix is null");
  const Backend& backend = dispatch();
  const Product p{.transpose_a = Transpose::yes,
                  .m = last_row,
                  .n = n,
                  .k = k,
                  .lda = lda,
                  .ldb = ldb,
                  .beta = 1,
                  .ldc = ldc,
                  .b_is_padded = true};
  const Range rows{first_row, last_row};
  const Traits traits = traits_of(backend);
  const auto multiply_with = [&](bool may_copy) {
    multiply_blocked(p, backend, in_blocks(p, traits, rows.size(), may_copy),
                     {.a = a, .b = b, .start = c, .c = c}, rows, {0, divide_up(n, backend.panel)});
  };
  if (!waits_for_lines(traits) && !traits.blocking().copies_factors)
    return multiply_with(/*may_copy=*/false);
  try {
    multiply_with(/*may_copy=*/true);
  } catch (const std::bad_alloc&) {
    // The first copies are the largest, so nothing of C has been written.
    multiply_with(/*may_copy=*/false);
  }
}

}  // namespace lockstep
