// Right-hand sides that are packed once for many products, and those products.
#include <algorithm>
#include <cstdint>

#include "dispatch.h"
#include "gemm/chain.h"
#include "gemm/packing.h"
#include "gemm/path.h"
#include "lockstep/aligned_vector.h"
#include "lockstep/detail/require.h"
#include "lockstep/gemm.h"
#include "lockstep/range.h"

namespace lockstep {
namespace {

constexpr std::size_t kMaxFloats = static_cast<std::size_t>(PTRDIFF_MAX) / sizeof(float);

std::size_t packed_floats(const Backend& backend, std::size_t k, std::size_t n) {
  const std::size_t width = backend.panel;
  const std::size_t panels = divide_up(n, backend.panel);
  require(panels <= kMaxFloats / width && (k == 0 || panels * width <= kMaxFloats / k),
          "PackedMatrix", "k x n is more than the memory can hold");
  return panels * k * width;
}

constexpr const char* kName = "gemm_packed";

// From `first` to before `last`, which may be PackedBlock::kEnd, of `count` there are.
Range part(std::size_t first, std::size_t last, std::size_t count, const char* requirement) {
  if (last == PackedBlock::kEnd) last = count;
  require(first <= last && last <= count, kName, requirement);
  return {first, last};
}

Range panels_in(const PackedBlock& block, const PackedMatrix& b) {
  return part(block.first_panel, block.last_panel, b.panels(), "B has no such panels");
}

Range rows_in(const PackedBlock& block, const PackedMatrix& b) {
  return part(block.first_k, block.last_k, b.k(), "B has no such rows");
}

}  // namespace

struct PackedMatrix::Storage {
  const Backend& backend;
  std::size_t panel_count;  // kept, since a division shows in a small product
  AlignedVector<float> floats;
};

PackedMatrix::PackedMatrix() = default;
PackedMatrix::~PackedMatrix() = default;
PackedMatrix::PackedMatrix(PackedMatrix&&) noexcept = default;
PackedMatrix& PackedMatrix::operator=(PackedMatrix&&) noexcept = default;

PackedMatrix::PackedMatrix(std::size_t k, std::size_t n) : k_(k), n_(n) {
  const Backend& backend = dispatch();
  storage_ = std::make_unique<Storage>(Storage{backend, divide_up(n, backend.panel),
                                               AlignedVector<float>(packed_floats(backend, k, n))});
}

PackedMatrix::PackedMatrix(const ConstMatrixView& b) : PackedMatrix(b.rows, b.cols) {
  pack(b.transpose, b.data, b.stride);
}

std::size_t PackedMatrix::bytes_for(std::size_t k, std::size_t n) {
  return packed_floats(dispatch(), k, n) * sizeof(float);
}

std::size_t PackedMatrix::panels() const { return storage_ == nullptr ? 0 : storage_->panel_count; }

std::size_t PackedMatrix::bytes() const {
  return storage_ == nullptr ? 0 : storage_->floats.size() * sizeof(float);
}

void PackedMatrix::pack(Transpose transpose, const float* b, std::size_t ldb) {
  pack_panels(transpose, b, ldb, 0, panels());
}

void PackedMatrix::pack_panels(Transpose transpose, const float* b, std::size_t ldb,
                               std::size_t first, std::size_t last) {
  require(first <= last && last <= panels(), "PackedMatrix::pack_panels", "B has no such panels");
  require(ldb >= (transpose == Transpose::no ? n_ : k_), "PackedMatrix::pack_panels",
          "ldb is shorter than a row of B");
  require(b != nullptr || k_ == 0 || first >= last, "PackedMatrix::pack_panels", "B is null");
  if (first >= last) return;
  const std::size_t width = storage_->backend.panel;
  const std::size_t column = first * width;
  lockstep::pack_panels({.transpose = transpose,
                         .k = k_,
                         .cols = std::min(last * width, n_) - column,
                         .alpha = 1.0f,
                         .b = transpose == Transpose::no ? b + column : b + column * ldb,
                         .ldb = ldb,
                         .panel_stride = k_ * width},
                        storage_->backend, storage_->floats.data() + first * k_ * width);
}

inline detail::ProductPlan PackedGemmPlan::planned(const PackedGemm& g, bool has_start,
                                                   const PackedMatrix& b,
                                                   const PackedBlock& block) {
  const Range panels = panels_in(block, b);
  const Range rows = rows_in(block, b);
  if (panels.begin == panels.end) return {};
  require(g.lda >= rows.size() && g.ldc >= b.n(), kName, "a row stride is shorter than a row");
  require(g.epilogue != Epilogue::tanh_gradient || g.ldh >= b.n(), kName,
          "ldh is shorter than a row of h");
  require(!has_start || g.start_stride == 0 || g.start_stride >= b.n(), kName,
          "start_stride is shorter than a row of start");
  const Backend& backend = b.storage_->backend;
  const std::size_t first = panels.begin * backend.panel;
  return {.strips = {.k = rows.size(),
                     .a_row_stride = static_cast<std::ptrdiff_t>(g.lda),
                     .a_k_stride = 1,
                     .b_k_stride = static_cast<std::ptrdiff_t>(backend.panel),
                     .b_panel_stride = static_cast<std::ptrdiff_t>(b.k() * backend.panel),
                     .b_is_padded = true,
                     .start_row_stride = static_cast<std::ptrdiff_t>(g.start_stride),
                     .beta = 1.0f,
                     .c_row_stride = static_cast<std::ptrdiff_t>(g.ldc),
                     .epilogue = g.epilogue,
                     .h_row_stride = static_cast<std::ptrdiff_t>(g.ldh),
                     .high_tiles = blocking().high_tiles},
          .backend = &backend,
          .panels = b.storage_->floats.data() + first * b.k() + rows.begin * backend.panel,
          .first_column = first,
          .cols = std::min(panels.end * backend.panel, b.n()) - first};
}

namespace {

[[gnu::always_inline]] inline void run_packed(const detail::ProductPlan& plan, std::size_t m,
                                              const float* a, const float* start, float* c,
                                              const float* h) {
  const StripPlan& strips = plan.strips;
  if (m == 0 || plan.cols == 0) return;
  require((a != nullptr || strips.k == 0) && c != nullptr, kName, "A or C is null");
  require(strips.epilogue != Epilogue::tanh_gradient || h != nullptr, kName, "h is null");
  note_backend(*plan.backend);
  if (strips.k == 0) a = c;  // null has no rows to point to; nothing is read
  // Hardware prefetchers follow a panel, but for few rows not fast enough.
  const bool is_far = strips.k * plan.cols * sizeof(float) > kNearBytes;
  run_rows(plan, m, {.a = a, .b = plan.panels, .start = start, .c = c, .h = h}, is_far);
}

}  // namespace

PackedGemmPlan::PackedGemmPlan(const PackedGemm& g, const PackedMatrix& b, const PackedBlock& block)
    : plan_(planned(g, true, b, block)) {}

void PackedGemmPlan::run(std::size_t m, const float* a, const float* start, float* c,
                         const float* h) const {
  run_packed(plan_, m, a, start, c, h);
}

// Plans and runs inline, so that it writes nothing that it reads itself.
void gemm_packed(const PackedGemm& g, const PackedMatrix& b, const PackedBlock& block) {
  if (g.m == 0) {  // the strides of nothing may be anything
    (void)panels_in(block, b);
    (void)rows_in(block, b);
    return;
  }
  const detail::ProductPlan plan = PackedGemmPlan::planned(g, g.start != nullptr, b, block);
  run_packed(plan, g.m, g.a, g.start, g.c, g.h);
}

}  // namespace lockstep
