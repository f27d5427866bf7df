// Right-hand sides that are packed once for many products, and those products.
#include <algorithm>
#include <cstdint>

#include "argument_check.h"
#include "dispatch.h"
#include "lockstep/aligned_vector.h"
#include "lockstep/gemm.h"
#include "packing.h"

namespace lockstep {
namespace {

constexpr std::size_t kMaxFloats = static_cast<std::size_t>(PTRDIFF_MAX) / sizeof(float);

std::size_t panels_of(const Backend& backend, std::size_t n) {
  return n / backend.panel + (n % backend.panel != 0 ? 1 : 0);
}

std::size_t packed_floats(const Backend& backend, std::size_t k, std::size_t n) {
  const std::size_t width = backend.panel;
  const std::size_t panels = panels_of(backend, n);
  require(panels <= kMaxFloats / width && (k == 0 || panels * width <= kMaxFloats / k),
          "PackedMatrix", "k x n is more than the memory can hold");
  return panels * k * width;
}

std::size_t end_or(std::size_t end, std::size_t all) {
  return end == PackedBlock::kEnd ? all : end;
}

// Runs a strip whose k may be large: pass by pass, the partial sums waiting in C. Panels are not
// fetched ahead: the hardware follows them, and on Zen 4 fetching as well cost a
// quarter of a forward pass at 16 rows.
void run_in_depth_blocks(const Backend& backend, const GemmStrip& whole) {
  // As it is, if it can be: a copy just after its fields were written waits for them.
  if (whole.k <= kDepthBlock) return backend.gemm_strip(whole);
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
}

// Runs `cols` columns in strips as wide as the first, which is given. The strips are one variable,
// moved along: filling in another takes as long as a small tile.
void run_strips(const Backend& backend, std::size_t cols, GemmStrip strip) {
  const std::size_t width = strip.cols;
  const std::size_t panels = width / backend.panel;
  while (cols > width) {
    run_in_depth_blocks(backend, strip);
    cols -= width;
    strip.b += static_cast<std::ptrdiff_t>(panels) * strip.b_panel_stride;
    strip.c += width;
    if (strip.start != nullptr) strip.start += width;
    if (strip.h != nullptr) strip.h += width;
  }
  strip.cols = cols;
  run_in_depth_blocks(backend, strip);
}

}  // namespace

struct PackedMatrix::Storage {
  const Backend& backend;
  std::size_t panel_count;
  AlignedVector<float> panels;
};

PackedMatrix::PackedMatrix() = default;
PackedMatrix::~PackedMatrix() = default;
PackedMatrix::PackedMatrix(PackedMatrix&&) noexcept = default;
PackedMatrix& PackedMatrix::operator=(PackedMatrix&&) noexcept = default;

PackedMatrix::PackedMatrix(std::size_t k, std::size_t n) : k_(k), n_(n) {
  const Backend& backend = dispatch();
  storage_ = std::make_unique<Storage>(
      Storage{backend, panels_of(backend, n), AlignedVector<float>(packed_floats(backend, k, n))});
}

std::size_t PackedMatrix::bytes_for(std::size_t k, std::size_t n) {
  return packed_floats(dispatch(), k, n) * sizeof(float);
}

std::size_t PackedMatrix::panels() const { return storage_ == nullptr ? 0 : storage_->panel_count; }

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
  require(b != nullptr || k_ == 0 || first >= last, "PackedMatrix::pack_panels", "B is null");
  if (first >= last) return;
  const std::size_t width = storage_->backend.panel;
  const std::size_t column = first * width;
  const std::size_t cols = std::min(last * width, n_) - column;
  lockstep::pack_panels(transpose, k_, cols, 1.0f,
                        transpose == Transpose::no ? b + column : b + column * ldb, ldb, width,
                        storage_->panels.data() + first * k_ * width);
}

void gemm_packed(const PackedGemm& g, const PackedMatrix& b, const PackedBlock& block) {
  const std::size_t last_panel = end_or(block.last_panel, b.panels());
  const std::size_t last_k = end_or(block.last_k, b.k());
  require(block.first_panel <= last_panel && last_panel <= b.panels(), "gemm_packed",
          "there are not so many panels");
  require(block.first_k <= last_k && last_k <= b.k(), "gemm_packed", "B has not these rows");
  const std::size_t k = last_k - block.first_k;
  if (g.m == 0 || block.first_panel == last_panel) return;
  require(g.lda >= k && g.ldc >= b.n(), "gemm_packed", "a row stride is shorter than a row");
  require((g.a != nullptr || k == 0) && g.c != nullptr, "gemm_packed", "A or C is null");
  require(g.epilogue != Epilogue::tanh_gradient || g.h != nullptr, "gemm_packed", "h is null");
  require(g.epilogue != Epilogue::tanh_gradient || g.ldh >= b.n(), "gemm_packed",
          "ldh is shorter than a row of h");
  require(g.start == nullptr || g.start_stride == 0 || g.start_stride >= b.n(), "gemm_packed",
          "start_stride is shorter than a row of start");
  const Backend& backend = b.storage_->backend;
  note_backend(backend);
  const std::size_t first = block.first_panel * backend.panel;
  const std::size_t cols = std::min(last_panel * backend.panel, b.n()) - first;
  const float* panels = b.storage_->panels.data() + first * b.k() + block.first_k * backend.panel;
  const float* start = g.start == nullptr ? nullptr : g.start + first;
  const float* h = g.h == nullptr ? nullptr : g.h + first;
  for (std::size_t row = 0; row < g.m; row += kRowBlock) {
    run_strips(backend, cols,
               {.rows = std::min(kRowBlock, g.m - row),
                .cols = backend.panel * panels_at_once(g.m, backend.panel, backend.lanes),
                .k = k,
                .a = g.a + row * g.lda,
                .a_row_stride = static_cast<std::ptrdiff_t>(g.lda),
                .a_k_stride = 1,
                .b = panels,
                .b_k_stride = static_cast<std::ptrdiff_t>(backend.panel),
                .b_panel_stride = static_cast<std::ptrdiff_t>(b.k() * backend.panel),
                .b_is_padded = true,
                .next_b = nullptr,
                .next_b_k_stride = 0,
                .start = start == nullptr ? nullptr : start + row * g.start_stride,
                .start_row_stride = static_cast<std::ptrdiff_t>(g.start_stride),
                .beta = 1.0f,
                .c = g.c + first + row * g.ldc,
                .c_row_stride = static_cast<std::ptrdiff_t>(g.ldc),
                .epilogue = g.epilogue,
                .h = h == nullptr ? nullptr : h + row * g.ldh,
                .h_row_stride = static_cast<std::ptrdiff_t>(g.ldh)});
  }
}

}  // namespace lockstep
