// Planning, blocking and threading of matrix products, once for all backends.
#include "lockstep/gemm.h"

#include <algorithm>
#include <cstdint>

#include "argument_check.h"
#include "dispatch.h"
#include "lockstep/aligned_vector.h"
#include "lockstep/threads.h"
#include "packing.h"

namespace lockstep {
namespace {

static_assert(kAlignedColumns == kVirtualLanes, "rows are padded for the longest vector there is");

// Rows of B per pass: 256 rows of a 64-column panel are 64 KiB, which stay in the second-level
// cache while all row tiles pass over them. Cutting continues the chains (see GemmStrip), so this
// number never shows in a result.
constexpr std::size_t kDepthBlock = 256;

// Rows of B packed at a time by `gemm`, which bounds its work memory to 512 KiB.
constexpr std::size_t kPackDepth = 2048;

// Up to this many rows, reading B where it stands beats copying it first.
constexpr std::size_t kDirectRows = 4 * kTileRows;

// Multiply-adds that pay for waking one more thread (a few microseconds).
constexpr double kWorkPerThread = 500e3;

// Runs a strip whose k may be large: pass by pass, the partial sums waiting in C.
void run_in_depth_blocks(const Backend& backend, const GemmStrip& whole) {
  GemmStrip pass = whole;
  for (std::size_t done = 0; done < whole.k; done += pass.k) {
    pass.k = std::min(kDepthBlock, whole.k - done);
    const bool last = done + pass.k == whole.k;
    pass.a = whole.a + static_cast<std::ptrdiff_t>(done) * whole.a_k_stride;
    pass.b = whole.b + static_cast<std::ptrdiff_t>(done) * whole.b_k_stride;
    pass.epilogue = last ? whole.epilogue : Epilogue::none;
    backend.gemm_strip(pass);
    pass.start = whole.c;
    pass.start_row_stride = whole.c_row_stride;
    pass.beta = 1.0f;
  }
  if (whole.k == 0) backend.gemm_strip(whole);
}

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
};

// A panel is read in place only where whole vectors stay inside the rows of B.
bool reads_in_place(const Gemm& g, const Backend& backend, std::size_t cols) {
  return g.m <= kDirectRows && g.transpose_b == Transpose::no && g.alpha == 1.0f &&
         cols % backend.lanes == 0;
}

// Rows [rows.begin, rows.end) by the columns of one panel.
void multiply_panel(const Gemm& g, const Backend& backend, Range rows, std::size_t column) {
  thread_local AlignedVector<float> scratch;
  const std::size_t cols = std::min(backend.panel, g.n - column);
  const bool in_place = reads_in_place(g, backend, cols);
  const std::size_t depth = in_place ? g.k : std::min(g.k, kPackDepth);
  if (!in_place && scratch.size() < depth * backend.panel) scratch.resize(depth * backend.panel);

  const bool plain_a = g.transpose_a == Transpose::no;
  const bool plain_b = g.transpose_b == Transpose::no;
  GemmStrip s{};
  s.rows = rows.end - rows.begin;
  s.cols = cols;
  s.a_row_stride = plain_a ? static_cast<std::ptrdiff_t>(g.lda) : 1;
  s.a_k_stride = plain_a ? 1 : static_cast<std::ptrdiff_t>(g.lda);
  s.c = g.c + rows.begin * g.ldc + column;
  s.c_row_stride = static_cast<std::ptrdiff_t>(g.ldc);
  s.start = g.beta == 0.0f ? nullptr : s.c;
  s.start_row_stride = s.c_row_stride;
  s.beta = g.beta;
  for (std::size_t p = 0; p < g.k; p += s.k) {
    s.k = std::min(depth, g.k - p);
    s.a = g.a + static_cast<std::ptrdiff_t>(rows.begin) * s.a_row_stride +
          static_cast<std::ptrdiff_t>(p) * s.a_k_stride;
    const float* b = plain_b ? g.b + p * g.ldb + column : g.b + column * g.ldb + p;
    if (!in_place) {
      pack_panel(g.transpose_b, s.k, cols, g.alpha, b, g.ldb, backend.panel, scratch.data());
    }
    s.b = in_place ? b : scratch.data();
    s.b_k_stride = static_cast<std::ptrdiff_t>(in_place ? g.ldb : backend.panel);
    run_in_depth_blocks(backend, s);
    s.start = s.c;
    s.beta = 1.0f;
  }
}

// Threads share the panels; if there are too few, the rows. No element is computed by two.
void multiply(const Gemm& g, const Backend& backend, int threads) {
  const std::size_t panels = (g.n + backend.panel - 1) / backend.panel;
  const double work =
      static_cast<double>(g.m) * static_cast<double>(g.n) * static_cast<double>(g.k);
  const std::size_t row_tiles = (g.m + kTileRows - 1) / kTileRows;
  const double useful =
      std::min(1 + work / kWorkPerThread, static_cast<double>(std::max(panels, row_tiles)));
  threads = std::min(threads, static_cast<int>(useful));
  const bool by_panels = panels >= static_cast<std::size_t>(threads);
  parallel(threads, [&](const Team& team) {
    const Range whole_rows{0, g.m};
    const Range whole_panels{0, panels};
    const Range rows = by_panels ? whole_rows : share(g.m, team.index(), team.size());
    const Range mine = by_panels ? share(panels, team.index(), team.size()) : whole_panels;
    if (rows.begin == rows.end) return;
    for (std::size_t p = mine.begin; p < mine.end; ++p) {
      multiply_panel(g, backend, rows, p * backend.panel);
    }
  });
}

void scale(std::size_t m, std::size_t n, float beta, float* c, std::size_t ldc) {
  for (std::size_t i = 0; i < m; ++i, c += ldc) {
    for (std::size_t j = 0; j < n; ++j) c[j] = beta == 0.0f ? 0.0f : beta * c[j];
  }
}

void require_arguments(const Gemm& g, bool reads_ab) {
  constexpr const char* kName = "gemm";
  require(g.c != nullptr, kName, "C is null");
  require(g.ldc >= g.n, kName, "ldc is shorter than a row of C");
  if (!reads_ab) return;
  require(g.a != nullptr && g.b != nullptr, kName, "A or B is null");
  require(g.lda >= (g.transpose_a == Transpose::no ? g.k : g.m), kName,
          "lda is shorter than a row of A");
  require(g.ldb >= (g.transpose_b == Transpose::no ? g.n : g.k), kName,
          "ldb is shorter than a row of B");
}

}  // namespace

void gemm(Transpose transpose_a, Transpose transpose_b, std::size_t m, std::size_t n, std::size_t k,
          float alpha, const float* a, std::size_t lda, const float* b, std::size_t ldb, float beta,
          float* c, std::size_t ldc, int threads) {
  const Gemm g{transpose_a, transpose_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc};
  const Backend& backend = dispatch();
  const int resolved = resolve_threads(threads);
  if (m == 0 || n == 0) return;
  const bool reads_ab = k != 0 && alpha != 0.0f;
  require_arguments(g, reads_ab);
  if (reads_ab) {
    multiply(g, backend, resolved);
  } else {
    scale(m, n, beta, c, ldc);
  }
}

constexpr std::size_t kMaxFloats = static_cast<std::size_t>(PTRDIFF_MAX) / sizeof(float);

struct PackedMatrix::Storage {
  const Backend& backend;
  AlignedVector<float> panels;
};

PackedMatrix::PackedMatrix() = default;
PackedMatrix::~PackedMatrix() = default;
PackedMatrix::PackedMatrix(PackedMatrix&&) noexcept = default;
PackedMatrix& PackedMatrix::operator=(PackedMatrix&&) noexcept = default;

PackedMatrix::PackedMatrix(std::size_t k, std::size_t n) : k_(k), n_(n) {
  const Backend& backend = dispatch();
  const std::size_t panels = (n + backend.panel - 1) / backend.panel;
  const std::size_t width = backend.panel;
  require(panels <= kMaxFloats / width && (k == 0 || panels * width <= kMaxFloats / k),
          "PackedMatrix", "k x n is more than the memory can hold");
  storage_ = std::make_unique<Storage>(Storage{backend, AlignedVector<float>(panels * k * width)});
}

std::size_t PackedMatrix::panels() const {
  if (storage_ == nullptr) return 0;
  return (n_ + storage_->backend.panel - 1) / storage_->backend.panel;
}

std::size_t PackedMatrix::bytes() const {
  return storage_ == nullptr ? 0 : storage_->panels.size() * sizeof(float);
}

void PackedMatrix::pack(Transpose transpose, const float* b, std::size_t ldb) {
  pack_panels(transpose, b, ldb, 0, panels());
}

void PackedMatrix::pack_panels(Transpose transpose, const float* b, std::size_t ldb,
                               std::size_t first, std::size_t last) {
  require(last <= panels(), "PackedMatrix::pack_panels", "there are not so many panels");
  require(ldb >= (transpose == Transpose::no ? n_ : k_), "PackedMatrix::pack_panels",
          "ldb is shorter than a row of B");
  for (std::size_t p = first; p < last; ++p) {
    const std::size_t width = storage_->backend.panel;
    const std::size_t column = p * width;
    const float* source = transpose == Transpose::no ? b + column : b + column * ldb;
    pack_panel(transpose, k_, std::min(width, n_ - column), 1.0f, source, ldb, width,
               storage_->panels.data() + p * k_ * width);
  }
}

void gemm_packed(const PackedGemm& g, const PackedMatrix& b) { gemm_packed(g, b, 0, b.panels()); }

void gemm_packed(const PackedGemm& g, const PackedMatrix& b, std::size_t first_panel,
                 std::size_t last_panel) {
  require(last_panel <= b.panels(), "gemm_packed", "there are not so many panels");
  if (g.m == 0 || first_panel >= last_panel) return;
  require(g.lda >= b.k() && g.ldc >= b.n(), "gemm_packed", "a row stride is shorter than a row");
  require((g.a != nullptr || b.k() == 0) && g.c != nullptr, "gemm_packed", "A or C is null");
  require(g.epilogue != Epilogue::tanh_gradient || g.h != nullptr, "gemm_packed", "h is null");
  const Backend& backend = b.storage_->backend;
  note_backend(backend);
  GemmStrip s{};
  s.rows = g.m;
  s.k = b.k();
  s.a = g.a;
  s.a_row_stride = static_cast<std::ptrdiff_t>(g.lda);
  s.a_k_stride = 1;
  s.b_k_stride = static_cast<std::ptrdiff_t>(backend.panel);
  s.start_row_stride = static_cast<std::ptrdiff_t>(g.start_stride);
  s.beta = 1.0f;
  s.c_row_stride = static_cast<std::ptrdiff_t>(g.ldc);
  s.epilogue = g.epilogue;
  s.h_row_stride = static_cast<std::ptrdiff_t>(g.ldh);
  for (std::size_t p = first_panel; p < last_panel; ++p) {
    const std::size_t column = p * backend.panel;
    s.cols = std::min(backend.panel, b.n() - column);
    s.b = b.storage_->panels.data() + p * b.k() * backend.panel;
    s.start = g.start == nullptr ? nullptr : g.start + column;
    s.c = g.c + column;
    s.h = g.h == nullptr ? nullptr : g.h + column;
    run_in_depth_blocks(backend, s);
  }
}

void gemm_accumulate_transposed(std::size_t n, std::size_t k, const float* a, std::size_t lda,
                                const float* b, std::size_t ldb, float* c, std::size_t ldc,
                                std::size_t first_row, std::size_t last_row) {
  if (n == 0 || k == 0 || first_row >= last_row) return;
  require(ldb >= n && ldc >= n && lda >= last_row, "gemm_accumulate_transposed",
          "a row stride is shorter than a row");
  const Backend& backend = dispatch();
  for (std::size_t column = 0; column < n; column += backend.panel) {
    GemmStrip s{};
    s.rows = last_row - first_row;
    s.cols = std::min(backend.panel, n - column);
    s.k = k;
    s.a = a + first_row;
    s.a_row_stride = 1;
    s.a_k_stride = static_cast<std::ptrdiff_t>(lda);
    s.b = b + column;
    s.b_k_stride = static_cast<std::ptrdiff_t>(ldb);
    s.c = c + first_row * ldc + column;
    s.c_row_stride = static_cast<std::ptrdiff_t>(ldc);
    s.start = s.c;
    s.start_row_stride = s.c_row_stride;
    s.beta = 1.0f;
    run_in_depth_blocks(backend, s);
  }
}

}  // namespace lockstep
