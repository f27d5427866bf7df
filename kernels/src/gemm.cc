// Planning, blocking and threading of matrix products, once for all backends.
#include "lockstep/gemm.h"

#include <algorithm>

#include "argument_check.h"
#include "dispatch.h"
#include "lockstep/aligned_vector.h"
#include "lockstep/threads.h"
#include "packing.h"
#include "strips.h"

namespace lockstep {
namespace {

static_assert(kAlignedColumns == kVirtualLanes, "rows are padded for the longest vector there is");

struct Gemm {
  Transpose transpose_a, transpose_b;
  std::size_t m, n, k;
  float alpha;
  const float* a;
  std::size_t lda;
  const float* b;
  std::size_t ldb;
  float beta;
  float* c;
  std::size_t ldc;
  bool b_is_padded = false;  // rows of B are readable for whole vectors
};

bool exceeds(const Gemm& g, std::size_t bytes) { return g.k * g.ldb * sizeof(float) > bytes; }

bool block_exceeds(const Gemm& g, std::size_t bytes) {
  return std::min(g.k, kDepthBlock) * g.ldb * sizeof(float) > bytes;
}

std::size_t rows_in_place(const Gemm& g, const Backend& backend) {
  const bool are_far = backend.panel <= kFloatsPerLine && block_exceeds(g, kFarBytes);
  return kRowsInPlacePerColumn * backend.panel / (are_far ? 2 : 1);
}

// Are the rows of B that these rows of A need copied into panels first?
bool packs_b(const Gemm& g, const Backend& backend, Range rows) {
  if (g.transpose_b == Transpose::yes || g.alpha != 1.0f) return true;
  if (!backend.exact_b && g.n % backend.lanes != 0) return true;
  return exceeds(g, kResidentBytes) && rows.end - rows.begin > rows_in_place(g, backend);
}

// Is A, transposed, copied block by block into rows of its own? Otherwise its columns come from as
// many pages as a block of k has steps; for few columns of B the copy costs more.
bool packs_a(const Gemm& g) {
  return g.transpose_a == Transpose::yes && g.n >= kColumnsForCopyOfA &&
         std::min(g.k, kDepthBlock) * g.lda * sizeof(float) >= kScatteredBytes;
}

// What is copied before it is multiplied; for that there is memory of each thread.
struct Copies {
  bool a = false;
  bool b = false;
};
Copies copies_of(const Gemm& g, const Backend& backend, Range rows) {
  return {packs_a(g), packs_b(g, backend, rows)};
}

// The strips of a block of k, which is so deep. Every block but the first goes on from the partial
// sums in C.
StripPlan plan_strips(const Gemm& g, const Backend& backend, Copies copies, std::size_t depth,
                      bool is_first) {
  const auto steps = static_cast<std::ptrdiff_t>(depth);
  const auto panel = static_cast<std::ptrdiff_t>(backend.panel);
  const auto lda = static_cast<std::ptrdiff_t>(g.lda);
  const auto ldc = static_cast<std::ptrdiff_t>(g.ldc);
  const bool plain_a = g.transpose_a == Transpose::no;
  return {.k = depth,
          .a_row_stride = copies.a  ? steps
                          : plain_a ? lda
                                    : 1,
          .a_k_stride = copies.a || plain_a ? 1 : lda,
          .b_k_stride = copies.b ? panel : static_cast<std::ptrdiff_t>(g.ldb),
          .b_panel_stride = copies.b ? steps * panel : panel,
          .b_is_padded = copies.b || g.b_is_padded,
          .start_row_stride = ldc,
          .beta = is_first ? g.beta : 1.0f,
          .c_row_stride = ldc,
          .epilogue = Epilogue::none,
          .h_row_stride = 0};
}

// Rows [rows.begin, rows.end) by the panels [panels.begin, panels.end) of C, on this thread.
class BlockProduct {
 public:
  BlockProduct(const Gemm& g, const Backend& backend, Copies copies, Range rows, Range panels)
      : g_(g),
        backend_(backend),
        copies_(copies),
        is_large_(exceeds(g, kResidentBytes)),
        rows_(rows),
        panels_(panels) {}

  // All columns of a block of k before the next: its rows of B stand in some thousand pages, as
  // many as the second-level TLB holds. (Panel by panel through all of k, AVX2 took one and a half
  // times as long for 64x2560x2560.)
  void run() {
    const bool reads_b_once = rows_.end - rows_.begin <= kRowBlock && !copies_.a;
    const std::size_t columns = reads_b_once ? kColumnsTogether : kColumnsOfRowBlocks;
    const std::size_t together = std::max<std::size_t>(1, columns / backend_.panel);
    const bool jumps_in_a = g_.transpose_a == Transpose::yes && !copies_.a;
    const std::size_t full_depth = block_depth(g_.k, jumps_in_a ? kJumpingDepth : kDepthBlock);
    for (std::size_t p = 0; p < g_.k; p += full_depth) {
      const std::size_t depth = std::min(full_depth, g_.k - p);
      const StripPlan plan = plan_strips(g_, backend_, copies_, depth, p == 0);
      for (std::size_t first = panels_.begin; first < panels_.end; first += together) {
        run_group(plan, {first, std::min(first + together, panels_.end)}, p);
      }
    }
  }

 private:
  void run_group(const StripPlan& plan, Range group, std::size_t p) {
    const float* b = copies_.b ? pack_b(group, p, plan.k) : b_at(p, group.begin);
    const std::size_t end = std::min(group.end * backend_.panel, g_.n);
    for (std::size_t row = rows_.begin; row < rows_.end; row += kRowBlock) {
      const Range rows{row, std::min(row + kRowBlock, rows_.end)};
      const float* a = copies_.a ? pack_a(rows, p, plan.k) : a_at(row, p);
      const std::size_t panels =
          panels_at_once(rows.end - rows.begin, backend_.panel, backend_.lanes);
      for (std::size_t panel = group.begin; panel < group.end; panel += panels) {
        const std::size_t column = panel * backend_.panel;
        float* c = g_.c + row * g_.ldc + column;
        const auto in_group = static_cast<std::ptrdiff_t>(panel - group.begin);
        // Panels were packed just now and are near; rows at a distance no hardware follows.
        const bool fetches = is_large_ && !copies_.b;
        backend_.gemm_strip({.plan = plan,
                             .rows = rows.end - rows.begin,
                             .cols = std::min(panels * backend_.panel, end - column),
                             .a = a,
                             .b = b + in_group * plan.b_panel_stride,
                             .next_b = fetches ? b_from(panel + panels, p, plan.k) : nullptr,
                             .start = p == 0 && g_.beta == 0.0f ? nullptr : c,
                             .c = c,
                             .h = nullptr});
      }
    }
  }

  [[nodiscard]] const float* a_at(std::size_t row, std::size_t p) const {
    return g_.transpose_a == Transpose::no ? g_.a + row * g_.lda + p : g_.a + p * g_.lda + row;
  }

  [[nodiscard]] const float* b_at(std::size_t p, std::size_t panel) const {
    const std::size_t column = panel * backend_.panel;
    return g_.transpose_b == Transpose::no ? g_.b + p * g_.ldb + column
                                           : g_.b + column * g_.ldb + p;
  }

  // Where B is read next, in place: from this panel of the block of k on, if there is one.
  [[nodiscard]] const float* b_from(std::size_t panel, std::size_t p, std::size_t depth) const {
    if (panel < panels_.end) return b_at(p, panel);
    return p + depth < g_.k ? b_at(p + depth, panels_.begin) : nullptr;
  }

  [[nodiscard]] const float* pack_a(Range rows, std::size_t p, std::size_t depth) const {
    thread_local AlignedVector<float> memory;
    const std::size_t count = rows.end - rows.begin;
    if (memory.size() < count * depth) memory.resize(count * depth);
    transpose(depth, count, g_.a + p * g_.lda + rows.begin, g_.lda, memory.data(), depth);
    return memory.data();
  }

  [[nodiscard]] const float* pack_b(Range group, std::size_t p, std::size_t depth) const {
    thread_local AlignedVector<float> memory;
    const std::size_t size = (group.end - group.begin) * depth * backend_.panel;
    if (memory.size() < size) memory.resize(size);
    const std::size_t first = group.begin * backend_.panel;
    const std::size_t cols = std::min(group.end * backend_.panel, g_.n) - first;
    pack_panels(g_.transpose_b, depth, cols, g_.alpha, b_at(p, group.begin), g_.ldb, backend_.panel,
                memory.data());
    return memory.data();
  }

  const Gemm& g_;
  const Backend& backend_;
  Copies copies_;
  bool is_large_;  // B does not stay in the second-level cache
  Range rows_;
  Range panels_;
};

// One row of A: the columns of `panels`, row after row of B.
bool is_gemv(const Gemm& g, const Backend& backend) {
  return g.m == 1 && g.transpose_b == Transpose::no && g.alpha == 1.0f && backend.exact_b &&
         exceeds(g, kGemvBytes);
}

void multiply_row(const Gemm& g, const Backend& backend, Range panels) {
  const std::size_t end = std::min(panels.end * backend.panel, g.n);
  for (std::size_t column = panels.begin * backend.panel; column < end; column += kGemvColumns) {
    float* c = g.c + column;
    backend.gemv_strip(
        {.cols = std::min(kGemvColumns, end - column),
         .k = g.k,
         .a = g.a,
         .a_k_stride = g.transpose_a == Transpose::no ? 1 : static_cast<std::ptrdiff_t>(g.lda),
         .b = g.b + column,
         .b_k_stride = static_cast<std::ptrdiff_t>(g.ldb),
         .start = g.beta == 0.0f ? nullptr : c,
         .beta = g.beta,
         .c = c});
  }
}

// The largest share of a thread, as a part of the whole.
double largest_share(std::size_t count, int threads) {
  const auto each =
      (count + static_cast<std::size_t>(threads) - 1) / static_cast<std::size_t>(threads);
  return static_cast<double>(each) / static_cast<double>(count);
}

// By panels each is packed and read by one thread only. By rows where there are too few panels, or
// where the shares of panels are so uneven (three for two threads) that the difference pays for
// reading all of B on each, and every thread still has rows for two tiles.
bool shares_panels(const Gemm& g, std::size_t panels, int threads) {
  const auto team_size = static_cast<std::size_t>(threads);
  if (panels < team_size) return false;
  return g.m < 2 * kTileRows * team_size ||
         largest_share(panels, threads) <= kUnevenShares * largest_share(g.m, threads);
}

// As many of `threads` as the work pays for.
int useful_threads(const Gemm& g, std::size_t panels, int threads) {
  const double work =
      static_cast<double>(g.m) * static_cast<double>(g.n) * static_cast<double>(g.k);
  const std::size_t row_tiles = (g.m + kTileRows - 1) / kTileRows;
  const double useful =
      std::min(1 + work / kWorkPerThread, static_cast<double>(std::max(panels, row_tiles)));
  return static_cast<int>(std::min(static_cast<double>(threads), useful));
}

void scale(std::size_t m, std::size_t n, float beta, float* c, std::size_t ldc) {
  for (std::size_t i = 0; i < m; ++i, c += ldc) {
    for (std::size_t j = 0; j < n; ++j) c[j] = beta == 0.0f ? 0.0f : beta * c[j];
  }
}

void require_strides(const Gemm& g) {
  constexpr const char* kName = "gemm";
  require(g.ldc >= g.n, kName, "ldc is shorter than a row of C");
  if (g.k == 0 || g.alpha == 0.0f) return;
  require(g.lda >= (g.transpose_a == Transpose::no ? g.k : g.m), kName,
          "lda is shorter than a row of A");
  require(g.ldb >= (g.transpose_b == Transpose::no ? g.n : g.k), kName,
          "ldb is shorter than a row of B");
}

// What can be decided about a product before its operands are known, which are null in `shape`.
// That stays where it is: a copy just after its fields were written waits for them.
class Plan {
 public:
  Plan(const Gemm& shape, const Backend& backend, int threads) : shape_(shape), backend_(backend) {
    if (shape.m == 0 || shape.n == 0) return;
    require_strides(shape);
    if (shape.k == 0 || shape.alpha == 0.0f) {
      way_ = Way::scaled;
      return;
    }
    panels_ = shape.n <= backend.panel ? 1 : (shape.n + backend.panel - 1) / backend.panel;
    if (threads > 1) threads_ = useful_threads(shape, panels_, threads);
    by_panels_ = threads_ > 1 && shares_panels(shape, panels_, threads_);
    way_ = threads_ == 1 && stays_whole() ? Way::whole : Way::in_blocks;
    reads_c_ = shape.beta != 0.0f;
    at_once_ = panels_at_once(shape.m, backend.panel, backend.lanes);
  }

  // `prepared`: what whole_plan() gave, or null.
  void run(const float* a, const float* b, float* c, const StripPlan* prepared = nullptr) const {
    if (way_ == Way::nothing) return;
    require(c != nullptr, "gemm", "C is null");
    if (way_ == Way::scaled) return scale(shape_.m, shape_.n, shape_.beta, c, shape_.ldc);
    require(a != nullptr && b != nullptr, "gemm", "A or B is null");
    if (way_ == Way::in_blocks) return run_in_blocks(a, b, c);
    if (prepared != nullptr) {
      run_whole(*prepared, a, b, c);
    } else {
      run_whole(whole_plan(), a, b, c);
    }
  }

  [[nodiscard]] bool is_whole() const { return way_ == Way::whole; }
  [[nodiscard]] StripPlan whole_plan() const {
    return plan_strips(shape_, backend_, Copies{}, shape_.k, true);
  }

 private:
  enum class Way {
    nothing,    // C is empty
    scaled,     // neither A nor B is read
    whole,      // nothing is shared, cut, copied or fetched ahead: one strip per panel
    in_blocks,  // or along the rows of B
  };

  void run_whole(const StripPlan& plan, const float* a, const float* b, float* c) const {
    run_strips(backend_, at_once_, /*fetches=*/false,
               {.plan = plan,
                .rows = shape_.m,
                .cols = shape_.n,
                .a = a,
                .b = b,
                .next_b = nullptr,
                .start = reads_c_ ? c : nullptr,
                .c = c,
                .h = nullptr});
  }

  [[nodiscard]] bool stays_whole() const {
    const Copies copies = copies_of(shape_, backend_, {0, shape_.m});
    return shape_.m <= kRowBlock && shape_.k <= kDepthBlock && !exceeds(shape_, kResidentBytes) &&
           !copies.a && !copies.b && !is_gemv(shape_, backend_);
  }

  // Threads share the panels or the rows. No element is computed by two.
  void run_in_blocks(const float* a, const float* b, float* c) const {
    Gemm g = shape_;
    g.a = a;
    g.b = b;
    g.c = c;
    parallel(threads_, [&](const Team& team) {
      Range rows{0, g.m};
      Range panels{0, panels_};
      (by_panels_ ? panels : rows) = share(by_panels_ ? panels_ : g.m, team.index(), team.size());
      if (is_gemv(g, backend_)) return multiply_row(g, backend_, panels);
      BlockProduct(g, backend_, copies_of(g, backend_, rows), rows, panels).run();
    });
  }

  const Gemm& shape_;
  const Backend& backend_;
  Way way_ = Way::nothing;
  std::size_t panels_ = 0;
  std::size_t at_once_ = 1;  // see panels_at_once
  int threads_ = 1;
  bool by_panels_ = false;
  bool reads_c_ = false;
};

}  // namespace

void gemm(Transpose transpose_a, Transpose transpose_b, std::size_t m, std::size_t n, std::size_t k,
          float alpha, const float* a, std::size_t lda, const float* b, std::size_t ldb, float beta,
          float* c, std::size_t ldc, int threads) {
  const Gemm shape{transpose_a, transpose_b, m,   n,    k,       alpha, nullptr,
                   lda,         nullptr,     ldb, beta, nullptr, ldc};
  const Backend& backend = dispatch();
  Plan(shape, backend, resolve_threads(threads)).run(a, b, c);
}

struct GemmPlan::State {
  State(const Gemm& g, const Backend& active, int threads)
      : shape(g), backend(active), plan(shape, active, threads) {
    if (plan.is_whole()) strips = plan.whole_plan();
  }

  const Gemm shape;
  const Backend& backend;
  const Plan plan;
  StripPlan strips;  // if the plan is_whole
};

GemmPlan::GemmPlan(Transpose transpose_a, Transpose transpose_b, std::size_t m, std::size_t n,
                   std::size_t k, float alpha, std::size_t lda, std::size_t ldb, float beta,
                   std::size_t ldc, int threads) {
  const Gemm shape{transpose_a, transpose_b, m,   n,    k,       alpha, nullptr,
                   lda,         nullptr,     ldb, beta, nullptr, ldc};
  state_ = std::make_unique<State>(shape, dispatch(), resolve_threads(threads));
}

GemmPlan::~GemmPlan() = default;
GemmPlan::GemmPlan(GemmPlan&&) noexcept = default;
GemmPlan& GemmPlan::operator=(GemmPlan&&) noexcept = default;

void GemmPlan::run(const float* a, const float* b, float* c) const {
  note_backend(state_->backend);
  state_->plan.run(a, b, c, &state_->strips);
}

void gemm_accumulate_transposed(std::size_t n, std::size_t k, const float* a, std::size_t lda,
                                const float* b, std::size_t ldb, float* c, std::size_t ldc,
                                std::size_t first_row, std::size_t last_row) {
  if (n == 0 || k == 0 || first_row >= last_row) return;
  require(ldb >= n && ldc >= n && lda >= last_row, "gemm_accumulate_transposed",
          "a row stride is shorter than a row");
  require(a != nullptr && b != nullptr && c != nullptr, "gemm_accumulate_transposed",
          "a matrix is null");
  const Backend& backend = dispatch();
  const Gemm g{
      Transpose::yes, Transpose::no, last_row, n, k, 1.0f, a, lda, b, ldb, 1.0f, c, ldc, true};
  const Range panels{0, (n + backend.panel - 1) / backend.panel};
  const Range rows{first_row, last_row};
  BlockProduct(g, backend, Copies{}, rows, panels).run();
}

}  // namespace lockstep
