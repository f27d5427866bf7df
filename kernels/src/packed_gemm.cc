// Right-hand sides that are packed once for many products, and those products.
#include <algorithm>
#include <cstdint>
#include <new>
#include <type_traits>

#include "argument_check.h"
#include "dispatch.h"
#include "lockstep/aligned_vector.h"
#include "lockstep/gemm.h"
#include "lockstep/threads.h"
#include "packing.h"
#include "strips.h"

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

constexpr const char* kName = "gemm_packed";

Range panels_in(const PackedBlock& block, const PackedMatrix& b) {
  const std::size_t last = block.last_panel == PackedBlock::kEnd ? b.panels() : block.last_panel;
  require(block.first_panel <= last && last <= b.panels(), kName, "there are not so many panels");
  return {block.first_panel, last};
}

Range rows_in(const PackedBlock& block, const PackedMatrix& b) {
  const std::size_t last = block.last_k == PackedBlock::kEnd ? b.k() : block.last_k;
  require(block.first_k <= last && last <= b.k(), kName, "B has not these rows");
  return {block.first_k, last};
}

// What is null stays null.
template <class Offset>
const float* at(const float* p, Offset offset) {
  return p == nullptr ? nullptr : p + offset;
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
  storage_ = std::make_unique<Storage>(
      Storage{backend, panels_of(backend, n), AlignedVector<float>(packed_floats(backend, k, n))});
}

std::size_t PackedMatrix::bytes_for(std::size_t k, std::size_t n) {
  return packed_floats(dispatch(), k, n) * sizeof(float);
}

std::size_t PackedMatrix::panels() const { return storage_ == nullptr ? 0 : storage_->panel_count; }

std::size_t PackedMatrix::panel_columns() const {
  return storage_ == nullptr ? 0 : storage_->backend.panel;
}

std::size_t PackedMatrix::bytes() const {
  return storage_ == nullptr ? 0 : storage_->floats.size() * sizeof(float);
}

void PackedMatrix::pack(Transpose transpose, const float* b, std::size_t ldb) {
  pack_panels(transpose, b, ldb, 0, panels());
}

void PackedMatrix::pack_panels(Transpose transpose, const float* b, std::size_t ldb,
                               std::size_t first, std::size_t last) {
  require(first <= last && last <= panels(), "PackedMatrix::pack_panels",
          "there are not so many panels");
  require(ldb >= (transpose == Transpose::no ? n_ : k_), "PackedMatrix::pack_panels",
          "ldb is shorter than a row of B");
  require(b != nullptr || k_ == 0 || first >= last, "PackedMatrix::pack_panels", "B is null");
  if (first >= last) return;
  const std::size_t width = storage_->backend.panel;
  const std::size_t column = first * width;
  const std::size_t cols = std::min(last * width, n_) - column;
  lockstep::pack_panels(transpose, k_, cols, 1.0f,
                        transpose == Transpose::no ? b + column : b + column * ldb, ldb, width,
                        storage_->floats.data() + first * k_ * width);
}

// Made and run by inline functions, so that gemm_packed writes nothing that it reads itself.
struct PackedGemmPlan::State {
  StripPlan strips;
  const Backend* backend;
  const float* panels;
  std::size_t first_column;
  std::size_t cols;  // 0: nothing to do

  static State of(const PackedGemm& g, bool has_start, const PackedMatrix& b,
                  const PackedBlock& block);
  void run(std::size_t m, const float* a, const float* start, float* c, const float* h) const;
};

inline PackedGemmPlan::State PackedGemmPlan::State::of(const PackedGemm& g, bool has_start,
                                                       const PackedMatrix& b,
                                                       const PackedBlock& block) {
  const Range panels = panels_in(block, b);
  const Range rows = rows_in(block, b);
  if (panels.begin == panels.end) return {};
  require(g.lda >= rows.end - rows.begin && g.ldc >= b.n(), kName,
          "a row stride is shorter than a row");
  require(g.epilogue != Epilogue::tanh_gradient || g.ldh >= b.n(), kName,
          "ldh is shorter than a row of h");
  require(!has_start || g.start_stride == 0 || g.start_stride >= b.n(), kName,
          "start_stride is shorter than a row of start");
  const Backend& backend = b.storage_->backend;
  const std::size_t first = panels.begin * backend.panel;
  return {
      .strips = {.k = rows.end - rows.begin,
                 // (A may be null if k is 0, and stays so.)
                 .a_row_stride = rows.begin == rows.end ? 0 : static_cast<std::ptrdiff_t>(g.lda),
                 .a_k_stride = 1,
                 .b_k_stride = static_cast<std::ptrdiff_t>(backend.panel),
                 .b_panel_stride = static_cast<std::ptrdiff_t>(b.k() * backend.panel),
                 .b_is_padded = true,
                 .start_row_stride = static_cast<std::ptrdiff_t>(g.start_stride),
                 .beta = 1.0f,
                 .c_row_stride = static_cast<std::ptrdiff_t>(g.ldc),
                 .epilogue = g.epilogue,
                 .h_row_stride = static_cast<std::ptrdiff_t>(g.ldh)},
      .backend = &backend,
      .panels = b.storage_->floats.data() + first * b.k() + rows.begin * backend.panel,
      .first_column = first,
      .cols = std::min(panels.end * backend.panel, b.n()) - first};
}

[[gnu::always_inline]] inline void PackedGemmPlan::State::run(std::size_t m, const float* a,
                                                              const float* start, float* c,
                                                              const float* h) const {
  if (m == 0 || cols == 0) return;
  require((a != nullptr || strips.k == 0) && c != nullptr, kName, "A or C is null");
  require(strips.epilogue != Epilogue::tanh_gradient || h != nullptr, kName, "h is null");
  note_backend(*backend);
  const std::size_t at_once = panels_at_once(m, backend->panel, backend->lanes);
  // Of what stays in the second-level cache nothing is far; hardware prefetchers follow a panel,
  // but for few rows not fast enough.
  const bool fetches = strips.k * cols * sizeof(float) > kNearBytes;
  for (std::size_t row = 0; row < m; row += kRowBlock) {
    const auto i = static_cast<std::ptrdiff_t>(row);
    run_strips(*backend, at_once, fetches,
               {.plan = strips,
                .rows = std::min(kRowBlock, m - row),
                .cols = cols,
                .a = a + i * strips.a_row_stride,
                .b = panels,
                .next_b = nullptr,
                .start = at(at(start, i * strips.start_row_stride), first_column),
                .c = c + i * strips.c_row_stride + first_column,
                .h = at(at(h, i * strips.h_row_stride), first_column)});
  }
}

PackedGemmPlan::PackedGemmPlan(const PackedGemm& g, const PackedMatrix& b,
                               const PackedBlock& block) {
  static_assert(sizeof(State) <= sizeof(state_) && alignof(State) <= alignof(PackedGemmPlan));
  static_assert(std::is_trivially_copyable_v<State>);  // a copied plan copies bytes
  new (state_) State(State::of(g, true, b, block));
}

void PackedGemmPlan::run(std::size_t m, const float* a, const float* start, float* c,
                         const float* h) const {
  std::launder(reinterpret_cast<const State*>(state_))->run(m, a, start, c, h);
}

void gemm_packed(const PackedGemm& g, const PackedMatrix& b, const PackedBlock& block) {
  if (g.m == 0) {  // the strides of nothing may be anything
    (void)panels_in(block, b);
    (void)rows_in(block, b);
    return;
  }
  const PackedGemmPlan::State plan = PackedGemmPlan::State::of(g, g.start != nullptr, b, block);
  plan.run(g.m, g.a, g.start, g.c, g.h);
}

}  // namespace lockstep
