#pragma once

#include <cstddef>
#include <memory>

#include "lockstep/export.h"
#include "lockstep/matrix_view.h"
#include "lockstep/range.h"

namespace lockstep {

struct Backend;

/// C = alpha * op(A) * op(B) + beta * C, float32, all matrices row-major.
///
/// Shapes: op(A) is m x k, op(B) is k x n, C is m x n; op is the identity or the transpose. A is in
/// memory as m rows of k (Transpose::no) or k rows of m (yes), `lda` floats from row to row; B and
/// C accordingly. Any alignment; a large B is read up to a third faster where its rows begin at
/// multiples of 64 bytes (AlignedVector). Nothing beyond the n columns of a row of C is written.
///
/// Aliasing: C may overlap neither A nor B.
///
/// Special values: beta = 0 never reads C (NaN there does not survive); alpha = 0 or k = 0 reads
/// neither A nor B and gives beta * C; m = 0 or n = 0 does nothing. Otherwise NaN and infinities
/// propagate as in the chain below.
///
/// Accuracy: an element errs by at most (k + 3) 2^-24 times |beta c| + sum_p |alpha a b|; on
/// backends without fused multiply-add by (2 k + 3). Sums of both signs err far less; long ones of
/// one sign do not: 0.1 added up 10^6 times gives 100958. Whoever needs more adds up products of
/// parts of k (docs/decisions/long-chains.md).
///
/// Bits: each element is one chain of fused multiply-adds in the order of k,
///     c = beta * c;  c = fma(a[i][p], alpha * b[p][j], c)  for p = 0 .. k-1,
/// with alpha * b rounded (as in the reference BLAS). So the result has the same bits for every
/// number of threads and on every backend with fused multiply-add.
///
/// Threads: `threads` as for resolve_threads; small products stay on the calling thread.
/// Thread-safe; work memory is kept per thread.
///
/// Errors: InvalidArgument if a row stride is shorter than its row or a pointer that must be read
/// is null; std::bad_alloc if there is no work memory (C is then partly written).
LOCKSTEP_API void gemm(Transpose transpose_a, Transpose transpose_b, std::size_t m, std::size_t n,
                       std::size_t k, float alpha, const float* a, std::size_t lda, const float* b,
                       std::size_t ldb, float beta, float* c, std::size_t ldc, int threads = 0);

/// What a product of views may say besides its matrices.
struct GemmOptions {
  float alpha = 1;  ///< factor of the product
  float beta = 0;   ///< factor of what is in C; 0: it is not read
  int threads = 0;  ///< as for resolve_threads
};

/// C = alpha * A * B + beta * C, as the function above.
///
/// Errors: InvalidArgument as well if the shapes do not fit or C is a transpose.
LOCKSTEP_API void gemm(const ConstMatrixView& a, const ConstMatrixView& b, const MatrixView& c,
                       const GemmOptions& options = {});

/// A product of one shape, for operands that change: what `gemm` checks and chooses at each call is
/// checked and chosen once, which a small product gains from. Same definition, same bits.
///
/// Threads: `run` is thread-safe, also of one plan at the same time. A plan runs on the backend
/// that was active at its construction.
class LOCKSTEP_API GemmPlan {
 public:
  /// Parameters and errors as of `gemm`.
  GemmPlan(Transpose transpose_a, Transpose transpose_b, std::size_t m, std::size_t n,
           std::size_t k, float alpha, std::size_t lda, std::size_t ldb, float beta,
           std::size_t ldc, int threads = 0);
  /// For matrices of the shapes and strides of these, whose data play no part. Errors as of `gemm`.
  GemmPlan(const ConstMatrixView& a, const ConstMatrixView& b, const MatrixView& c,
           const GemmOptions& options = {});
  ~GemmPlan();
  /// A plan that was moved from can only be assigned to or destroyed.
  ///@{
  GemmPlan(GemmPlan&&) noexcept;
  GemmPlan& operator=(GemmPlan&&) noexcept;
  ///@}

  /// C = alpha * op(A) * op(B) + beta * C.
  ///
  /// Errors: InvalidArgument if a pointer that must be read is null, std::bad_alloc as `gemm`.
  void run(const float* a, const float* b, float* c) const;

  /// `count` products at once, as gemm_batch (lockstep/gemm_batch.h): of operands at pointers, or
  /// each a stride after the one before. Where one thread computes all products, it allocates
  /// nothing that `run` on one thread does not. Errors as there.
  ///@{
  void run_batch(std::size_t count, const float* const* a, const float* const* b,
                 float* const* c) const;
  void run_batch_strided(std::size_t count, const float* a, std::size_t stride_a, const float* b,
                         std::size_t stride_b, float* c, std::size_t stride_c) const;
  ///@}

 private:
  struct LOCKSTEP_HIDDEN State;
  std::unique_ptr<State> state_;
};

/// A right-hand side k x n in the order in which the kernels read it, to be used many times: panels
/// of as many columns as the register tile of the backend has, each stored row by row. It belongs
/// to the backend that was active at its construction and is multiplied on that one.
class LOCKSTEP_API PackedMatrix {
 public:
  /// Of no columns: has no panels, takes no memory.
  PackedMatrix();
  /// Takes memory for a k x n matrix; its contents are undefined until `pack`.
  ///
  /// Errors: InvalidArgument if k x n exceeds the address space, std::bad_alloc if it does not fit.
  PackedMatrix(std::size_t k, std::size_t n);
  /// Takes memory for this matrix and copies it in. Errors as above and as of `pack`.
  explicit PackedMatrix(const ConstMatrixView& b);
  ~PackedMatrix();
  /// A matrix that was moved from can only be assigned to or destroyed.
  ///@{
  PackedMatrix(PackedMatrix&&) noexcept;
  PackedMatrix& operator=(PackedMatrix&&) noexcept;
  ///@}

  [[nodiscard]] std::size_t k() const { return k_; }  ///< rows
  [[nodiscard]] std::size_t n() const { return n_; }  ///< columns
  /// Into how many panels its columns are cut.
  [[nodiscard]] std::size_t panels() const;
  /// Bytes of its panels, the last of which is filled up with zeros.
  [[nodiscard]] std::size_t bytes() const;
  /// What bytes() of a k x n matrix will be, on the active backend. Takes no memory; errors as of
  /// the constructor.
  [[nodiscard]] static std::size_t bytes_for(std::size_t k, std::size_t n);

  /// Copies op(B) in; allocates nothing.
  ///
  /// Shapes: `b` is k rows of n (Transpose::no) or n rows of k (yes), `ldb` floats from row to row.
  ///
  /// Errors: InvalidArgument if `ldb` is shorter than a row or `b` is null.
  void pack(Transpose transpose, const float* b, std::size_t ldb);
  /// The same for panels first .. last-1 only, so that threads can share the work.
  ///
  /// Errors: InvalidArgument for first > last and panels beyond panels() too.
  void pack_panels(Transpose transpose, const float* b, std::size_t ldb, std::size_t first,
                   std::size_t last);

 private:
  friend class PackedGemmPlan;
  std::size_t k_ = 0;
  std::size_t n_ = 0;
  struct LOCKSTEP_HIDDEN Storage;
  std::unique_ptr<Storage> storage_;
};

/// What `gemm_packed` does with a finished element, while it is in a register or in the caches.
enum class Epilogue {
  none,           ///< nothing
  tanh,           ///< c = tanh(c), as lockstep::tanh
  tanh_gradient,  ///< c = c * (1 - h^2): back through a tanh whose value was h
};

/// The product C = epilogue(start + A * B) with a packed B; see gemm_packed.
///
/// Shapes: A is m x k, C is m x n, both row-major; k is the rows of B, or of the block of it that
/// is asked for, n and the panels are those of B. Strides count floats from row to row.
///
/// Aliasing: C may overlap neither A nor `h`.
struct PackedGemm {
  std::size_t m = 0;         ///< rows of A and C
  const float* a = nullptr;  ///< m x k
  std::size_t lda = 0;       ///< row stride of A, at least k
  /// Bias [n] if start_stride = 0, else m x n; null for 0. May be `c`, with its stride; otherwise
  /// they must not overlap.
  const float* start = nullptr;
  std::size_t start_stride = 0;        ///< 0, or at least n
  float* c = nullptr;                  ///< m x n
  std::size_t ldc = 0;                 ///< row stride of C, at least n
  Epilogue epilogue = Epilogue::none;  ///< done with each element of C
  const float* h = nullptr;            ///< m x n, tanh_gradient only
  std::size_t ldh = 0;                 ///< row stride of h, at least n
};

/// The panels first_panel .. last_panel-1 and rows first_k .. last_k-1 of a packed matrix; all of
/// them by default.
struct PackedBlock {
  static constexpr std::size_t kEnd = static_cast<std::size_t>(-1);  ///< as many as there are

  std::size_t first_panel = 0;    ///< see PackedMatrix::panels
  std::size_t last_panel = kEnd;  ///< the panel behind the last
  std::size_t first_k = 0;        ///< first row of B
  std::size_t last_k = kEnd;      ///< the row of B behind the last
};

/// C = epilogue(start + A * B), the columns of the block's panels only, which are at their places
/// in C, over its rows only, which meet the columns of A from the first. Allocates nothing.
///
/// Special values, Accuracy: as gemm; an epilogue adds the error of its function.
///
/// Bits: the chain of an element begins with start[i][j] (0 if `start` is null) and adds a[i][p] *
/// b[p][j] fused in the order of p. So on every backend but the reference, which rounds a sum once
/// per call, a product over all rows of B has the bits of two, over the first and, with start = c,
/// over the others.
///
/// Threads: runs on the calling thread. Thread-safe where no two calls write the same columns;
/// several may read one B.
///
/// Errors: InvalidArgument for a row stride shorter than its row, a null matrix that is read or
/// written, and a block that B does not have.
LOCKSTEP_API void gemm_packed(const PackedGemm& g, const PackedMatrix& b,
                              const PackedBlock& block = {});

/// Private to the library: what its plans consist of.
namespace detail {

struct StripPlan {
  std::size_t k;
  std::ptrdiff_t a_row_stride;
  std::ptrdiff_t a_k_stride;
  std::ptrdiff_t b_k_stride;
  std::ptrdiff_t b_panel_stride;
  bool b_is_padded;
  std::ptrdiff_t start_row_stride;  // 0: one row, a bias, for all
  float beta;
  std::ptrdiff_t c_row_stride;
  Epilogue epilogue;
  std::ptrdiff_t h_row_stride;
  bool high_tiles;  // where each row is a single vector
};

struct ProductPlan {
  StripPlan strips;
  const Backend* backend;
  const float* panels;  // of a packed B, otherwise null
  std::size_t first_column;
  std::size_t cols;  // 0: nothing to do
};

}  // namespace detail

/// A gemm_packed made ready for many runs with other operands of the same strides, such as the
/// timesteps of a recurrent network: what can be is checked and decided once. Owns no memory; may
/// be copied. Refers to the panels of B, which must live as long: B may be moved, and packed anew
/// between runs, but neither destroyed nor assigned to. Runs on the backend of B and the calling
/// thread, and is thread-safe as gemm_packed.
class LOCKSTEP_API PackedGemmPlan {
 public:
  /// For the strides and epilogue of `g`; its m and operands play no part. Errors as of
  /// gemm_packed.
  PackedGemmPlan(const PackedGemm& g, const PackedMatrix& b, const PackedBlock& block = {});

  /// gemm_packed with these rows and operands, of which `start` and (without tanh_gradient) `h` may
  /// be null.
  ///
  /// Errors: InvalidArgument for another that is null though read or written.
  void run(std::size_t m, const float* a, const float* start, float* c,
           const float* h = nullptr) const;

  /// The columns of C that it computes; {0, 0} if there are none.
  [[nodiscard]] Range columns() const {
    return {plan_.first_column, plan_.first_column + plan_.cols};
  }

 private:
  friend void gemm_packed(const PackedGemm&, const PackedMatrix&, const PackedBlock&);
  static detail::ProductPlan planned(const PackedGemm& g, bool has_start, const PackedMatrix& b,
                                     const PackedBlock& block);
  detail::ProductPlan plan_;
};

/// Columns up to a multiple of which gemm_accumulate_transposed may read a row of B.
inline constexpr std::size_t kAlignedColumns = 16;

/// C += A^T * B for rows first_row .. last_row-1 of C: the gradient of weights from activations A
/// and deltas B. Where a small second-level cache or a far last one asks for it, blocks of A and B
/// are copied into memory that the thread keeps; without memory they are read in place.
///
/// Shapes: A is k x m, B is k x n, all row-major. Rows of B must be readable up to the next
/// multiple of kAlignedColumns (any contents).
///
/// Aliasing: C may overlap neither A nor B.
///
/// Bits: the chain of an element is c, then fused products in the order of k.
///
/// Threads: runs on the calling thread. Thread-safe where no two calls write the same rows.
///
/// Errors: nothing happens for no rows, n = 0 or k = 0; otherwise InvalidArgument for a row stride
/// shorter than its row (that of A for last_row columns) and a null matrix.
LOCKSTEP_API void gemm_accumulate_transposed(std::size_t n, std::size_t k, const float* a,
                                             std::size_t lda, const float* b, std::size_t ldb,
                                             float* c, std::size_t ldc, std::size_t first_row,
                                             std::size_t last_row);

/// T = A^T, for products with A^T of a matrix whose rows are kilobytes apart, which are read
/// slowly. Allocates nothing.
///
/// Shapes: A is rows x cols, T is cols x rows, both row-major.
///
/// Aliasing: they must not overlap.
///
/// Threads: runs on the calling thread; thread-safe.
///
/// Errors: InvalidArgument for a row stride shorter than its row and a null matrix that is not
/// empty.
LOCKSTEP_API void transpose(std::size_t rows, std::size_t cols, const float* a, std::size_t lda,
                            float* t, std::size_t ldt);

}  // namespace lockstep
