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

std::size_t packed_floats(const Backend& backend, std::size_t k, std::size_t n) {
  const std::size_t width = backend.panel;
  const std::size_t panels = n / width + (n % width != 0 ? 1 : 0);
  require(panels <= kMaxFloats / width && (k == 0 || panels * width <= kMaxFloats / k),
          "PackedMatrix", "k x n is more than the memory can hold");
  return panels * k * width;
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

// The product without the rows before `row`.
PackedGemm from_row(const PackedGemm& g, std::size_t row) {
  if (row == 0) return g;
  PackedGemm rest = g;
  rest.m = g.m - row;
  rest.a = g.a + row * g.lda;
  rest.start = g.start == nullptr ? nullptr : g.start + row * g.start_stride;
  rest.c = g.c + row * g.ldc;
  rest.h = g.h == nullptr ? nullptr : g.h + row * g.ldh;
  return rest;
}

}  // namespace

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
  storage_ = std::make_unique<Storage>(
      Storage{backend, AlignedVector<float>(packed_floats(backend, k, n))});
}

std::size_t PackedMatrix::bytes_for(std::size_t k, std::size_t n) {
  return packed_floats(dispatch(), k, n) * sizeof(float);
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
  require(b != nullptr || k_ == 0 || first >= last, "PackedMatrix::pack_panels", "B is null");
  if (first >= last) return;
  const std::size_t width = storage_->backend.panel;
  const std::size_t column = first * width;
  const std::size_t cols = std::min(last * width, n_) - column;
  lockstep::pack_panels(transpose, k_, cols, 1.0f,
                        transpose == Transpose::no ? b + column : b + column * ldb, ldb, width,
                        storage_->panels.data() + first * k_ * width);
}

void gemm_packed(const PackedGemm& g, const PackedMatrix& b) { gemm_packed(g, b, 0, b.panels()); }

void gemm_packed(const PackedGemm& g, const PackedMatrix& b, std::size_t first_panel,
                 std::size_t last_panel) {
  require(last_panel <= b.panels(), "gemm_packed", "there are not so many panels");
  const std::size_t last_k = g.last_k == PackedGemm::kAllRows ? b.k() : g.last_k;
  require(g.first_k <= last_k && last_k <= b.k(), "gemm_packed", "B has not these rows");
  const std::size_t k = last_k - g.first_k;
  if (g.m == 0 || first_panel >= last_panel) return;
  require(g.lda >= k && g.ldc >= b.n(), "gemm_packed", "a row stride is shorter than a row");
  require((g.a != nullptr || k == 0) && g.c != nullptr, "gemm_packed", "A or C is null");
  require(g.epilogue != Epilogue::tanh_gradient || g.h != nullptr, "gemm_packed", "h is null");
  require(g.epilogue != Epilogue::tanh_gradient || g.ldh >= b.n(), "gemm_packed",
          "ldh is shorter than a row of h");
  require(g.start == nullptr || g.start_stride == 0 || g.start_stride >= b.n(), "gemm_packed",
          "start_stride is shorter than a row of start");
  const Backend& backend = b.storage_->backend;
  note_backend(backend);
  const std::size_t end = std::min(last_panel * backend.panel, b.n());
  const std::size_t strip = backend.panel * panels_at_once(g.m, backend.panel, backend.lanes);
  const float* panels = b.storage_->panels.data() + g.first_k * backend.panel;
  for (std::size_t row = 0; row < g.m; row += kRowBlock) {
    const PackedGemm rows = from_row(g, row);
    for (std::size_t column = first_panel * backend.panel; column < end; column += strip) {
      run_in_depth_blocks(backend,
                          {.rows = std::min(kRowBlock, rows.m),
                           .cols = std::min(strip, end - column),
                           .k = k,
                           .a = rows.a,
                           .a_row_stride = static_cast<std::ptrdiff_t>(g.lda),
                           .a_k_stride = 1,
                           .b = panels + column * b.k(),
                           .b_k_stride = static_cast<std::ptrdiff_t>(backend.panel),
                           .b_panel_stride = static_cast<std::ptrdiff_t>(b.k() * backend.panel),
                           .b_is_padded = true,
                           .next_b = nullptr,
                           .next_b_k_stride = 0,
                           .start = rows.start == nullptr ? nullptr : rows.start + column,
                           .start_row_stride = static_cast<std::ptrdiff_t>(g.start_stride),
                           .beta = 1.0f,
                           .c = rows.c + column,
                           .c_row_stride = static_cast<std::ptrdiff_t>(g.ldc),
                           .epilogue = g.epilogue,
                           .h = rows.h == nullptr ? nullptr : rows.h + column,
                           .h_row_stride = static_cast<std::ptrdiff_t>(g.ldh)});
    }
  }
}

}  // namespace lockstep
