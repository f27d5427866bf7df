// The C functions of the kernels: the checks that C++ leaves to references and types, and
// exceptions made into statuses.
#include <algorithm>
#include <exception>
#include <new>
#include <string_view>
#include <vector>

#include "lockstep/backend.h"
#include "lockstep/detail/c_boundary.h"
#include "lockstep/detail/require.h"
#include "lockstep/elementwise.h"
#include "lockstep/gemm.h"
#include "lockstep/gemm_batch.h"
#include "lockstep/lockstep_kernels.h"
#include "lockstep/softmax.h"
#include "lockstep/threads.h"

struct lockstep_gemm_plan {
  lockstep::GemmPlan plan;
};

struct lockstep_packed_matrix {
  lockstep::PackedMatrix matrix;
};

namespace lockstep {
namespace {

// A text of this thread that can be set without memory. It has no destructor: to register one takes
// memory, and the process ends where there is none.
class ErrorText {
 public:
  // Cut off before the first character that does not fit whole.
  void set(std::string_view text) noexcept {
    const auto is_continuation = [](char c) {
      return (static_cast<unsigned char>(c) & 0xc0) == 0x80;
    };
    std::size_t size = std::min(text.size(), sizeof bytes_ - 1);
    while (size > 0 && size < text.size() && is_continuation(text[size])) --size;
    *std::copy_n(text.begin(), size, bytes_) = '\0';
  }
  [[nodiscard]] const char* get() const noexcept { return bytes_; }

 private:
  char bytes_[LOCKSTEP_ERROR_BYTES] = "";
};

constinit thread_local ErrorText t_error;

lockstep_status fail(lockstep_status status, std::string_view text) noexcept {
  t_error.set(text);
  return status;
}

Transpose transpose_of(int value, const char* function) {
  require(value == LOCKSTEP_PLAIN || value == LOCKSTEP_TRANSPOSED, function,
          "transpose must be LOCKSTEP_PLAIN or LOCKSTEP_TRANSPOSED");
  return value == LOCKSTEP_PLAIN ? Transpose::no : Transpose::yes;
}

Epilogue epilogue_of(int value, const char* function) {
  require(value == LOCKSTEP_EPILOGUE_NONE || value == LOCKSTEP_EPILOGUE_TANH, function,
          "unknown epilogue");
  return value == LOCKSTEP_EPILOGUE_NONE ? Epilogue::none : Epilogue::tanh;
}

std::vector<lockstep_backend> list_backends() {
  std::vector<lockstep_backend> list;
  for (const BackendInfo& b : backends()) {
    // The names are literals, so they end in a zero and live as long as the library.
    // NOLINTNEXTLINE(bugprone-suspicious-stringview-data-usage)
    list.push_back({b.name.data(), b.runnable ? 1 : 0, b.fused ? 1 : 0, b.lanes});
  }
  return list;
}

}  // namespace

static_assert(static_cast<int>(ErrorCode::invalid_argument) == LOCKSTEP_INVALID_ARGUMENT &&
              static_cast<int>(ErrorCode::out_of_memory) == LOCKSTEP_OUT_OF_MEMORY &&
              static_cast<int>(ErrorCode::file) == LOCKSTEP_FILE_ERROR &&
              static_cast<int>(ErrorCode::internal) == LOCKSTEP_INTERNAL_ERROR &&
              static_cast<int>(ErrorCode::unsupported) == LOCKSTEP_UNSUPPORTED);

lockstep_status detail::fail_with_current_exception() noexcept {
  const auto status = static_cast<lockstep_status>(current_error_code());
  try {
    throw;
  } catch (const std::bad_alloc&) {
    return fail(status, "out of memory");
  } catch (const std::exception& error) {
    return fail(status, error.what());
  } catch (...) {
    return fail(status, "an exception that is none of the standard library's");
  }
}

}  // namespace lockstep

using lockstep::detail::call;
using lockstep::detail::create;

const char* lockstep_status_text(lockstep_status status) {
  switch (status) {
    case LOCKSTEP_OK:
      return "success";
    case LOCKSTEP_INVALID_ARGUMENT:
      return "invalid argument";
    case LOCKSTEP_OUT_OF_MEMORY:
      return "out of memory";
    case LOCKSTEP_FILE_ERROR:
      return "file error";
    case LOCKSTEP_INTERNAL_ERROR:
      return "internal error";
    case LOCKSTEP_UNSUPPORTED:
      return "unsupported";
  }
  return "unknown status";
}

const char* lockstep_last_error() { return lockstep::t_error.get(); }

const char* lockstep_version() { return LOCKSTEP_VERSION; }

lockstep_status lockstep_backends(const lockstep_backend** list, size_t* count) {
  return call(__func__, {list, count}, [&] {
    static const std::vector<lockstep_backend> all = lockstep::list_backends();
    *list = all.data();
    *count = all.size();
  });
}

lockstep_status lockstep_active_backend(const char** name) {
  return call(__func__, {name}, [&] { *name = lockstep::active_backend().name.data(); });
}

lockstep_status lockstep_set_backend(const char* name) {
  return call(__func__, {}, [&] { lockstep::set_backend(name == nullptr ? "" : name); });
}

lockstep_status lockstep_default_threads(int* count) {
  return call(__func__, {count}, [&] { *count = lockstep::default_threads().count; });
}

lockstep_status lockstep_threading(const char** name) {
  return call(__func__, {name}, [&] { *name = lockstep::threading(); });
}

lockstep_status lockstep_gemm(int transpose_a, int transpose_b, size_t m, size_t n, size_t k,
                              float alpha, const float* a, size_t lda, const float* b, size_t ldb,
                              float beta, float* c, size_t ldc, int threads) {
  return call(__func__, {}, [&, function = __func__] {
    lockstep::gemm(lockstep::transpose_of(transpose_a, function),
                   lockstep::transpose_of(transpose_b, function), m, n, k, alpha, a, lda, b, ldb,
                   beta, c, ldc, threads);
  });
}

lockstep_status lockstep_gemm_batch(int transpose_a, int transpose_b, size_t m, size_t n, size_t k,
                                    float alpha, const float* const* a, size_t lda,
                                    const float* const* b, size_t ldb, float beta, float* const* c,
                                    size_t ldc, size_t count, int threads) {
  return call(__func__, {}, [&, function = __func__] {
    lockstep::gemm_batch(lockstep::transpose_of(transpose_a, function),
                         lockstep::transpose_of(transpose_b, function), m, n, k, alpha, a, lda, b,
                         ldb, beta, c, ldc, count, threads);
  });
}

lockstep_status lockstep_gemm_batch_strided(int transpose_a, int transpose_b, size_t m, size_t n,
                                            size_t k, float alpha, const float* a, size_t lda,
                                            size_t stride_a, const float* b, size_t ldb,
                                            size_t stride_b, float beta, float* c, size_t ldc,
                                            size_t stride_c, size_t count, int threads) {
  return call(__func__, {}, [&, function = __func__] {
    lockstep::gemm_batch_strided(lockstep::transpose_of(transpose_a, function),
                                 lockstep::transpose_of(transpose_b, function), m, n, k, alpha, a,
                                 lda, stride_a, b, ldb, stride_b, beta, c, ldc, stride_c, count,
                                 threads);
  });
}

lockstep_status lockstep_gemm_plan_create(int transpose_a, int transpose_b, size_t m, size_t n,
                                          size_t k, float alpha, size_t lda, size_t ldb, float beta,
                                          size_t ldc, int threads, lockstep_gemm_plan** plan) {
  return create(__func__, plan, {}, [&, function = __func__] {
    return lockstep::GemmPlan(lockstep::transpose_of(transpose_a, function),
                              lockstep::transpose_of(transpose_b, function), m, n, k, alpha, lda,
                              ldb, beta, ldc, threads);
  });
}

lockstep_status lockstep_gemm_plan_run(const lockstep_gemm_plan* plan, const float* a,
                                       const float* b, float* c) {
  return call(__func__, {plan}, [&] { plan->plan.run(a, b, c); });
}

lockstep_status lockstep_gemm_plan_run_batch(const lockstep_gemm_plan* plan, size_t count,
                                             const float* const* a, const float* const* b,
                                             float* const* c) {
  return call(__func__, {plan}, [&] { plan->plan.run_batch(count, a, b, c); });
}

lockstep_status lockstep_gemm_plan_run_batch_strided(const lockstep_gemm_plan* plan, size_t count,
                                                     const float* a, size_t stride_a,
                                                     const float* b, size_t stride_b, float* c,
                                                     size_t stride_c) {
  return call(__func__, {plan},
              [&] { plan->plan.run_batch_strided(count, a, stride_a, b, stride_b, c, stride_c); });
}

void lockstep_gemm_plan_free(lockstep_gemm_plan* plan) { delete plan; }

lockstep_status lockstep_pack(int transpose, size_t k, size_t n, const float* b, size_t ldb,
                              lockstep_packed_matrix** packed) {
  return create(__func__, packed, {}, [&, function = __func__] {
    lockstep::ConstMatrixView view(b, k, n, ldb);
    view.transpose = lockstep::transpose_of(transpose, function);
    return lockstep::PackedMatrix(view);
  });
}

void lockstep_packed_matrix_free(lockstep_packed_matrix* packed) { delete packed; }

lockstep_status lockstep_gemm_packed(size_t m, const float* a, size_t lda,
                                     const lockstep_packed_matrix* b, const float* start,
                                     size_t start_stride, int epilogue, float* c, size_t ldc) {
  return call(__func__, {b}, [&, function = __func__] {
    const lockstep::PackedGemm g{.m = m,
                                 .a = a,
                                 .lda = lda,
                                 .start = start,
                                 .start_stride = start_stride,
                                 .c = c,
                                 .ldc = ldc,
                                 .epilogue = lockstep::epilogue_of(epilogue, function)};
    lockstep::gemm_packed(g, b->matrix);
  });
}

lockstep_status lockstep_tanh(const float* x, float* y, size_t n) {
  return call(__func__, {}, [&] { lockstep::tanh(x, y, n); });
}

lockstep_status lockstep_exp(const float* x, float* y, size_t n) {
  return call(__func__, {}, [&] { lockstep::exp(x, y, n); });
}

lockstep_status lockstep_sigmoid(const float* x, float* y, size_t n) {
  return call(__func__, {}, [&] { lockstep::sigmoid(x, y, n); });
}

lockstep_status lockstep_relu(const float* x, float* y, size_t n) {
  return call(__func__, {}, [&] { lockstep::relu(x, y, n); });
}

lockstep_status lockstep_softmax(size_t rows, size_t cols, const float* x, size_t ldx, float* y,
                                 size_t ldy) {
  return call(__func__, {}, [&] { lockstep::softmax(rows, cols, x, ldx, y, ldy); });
}

lockstep_status lockstep_log_softmax(size_t rows, size_t cols, const float* x, size_t ldx, float* y,
                                     size_t ldy) {
  return call(__func__, {}, [&] { lockstep::log_softmax(rows, cols, x, ldx, y, ldy); });
}

lockstep_status lockstep_softmax_cross_entropy(size_t rows, size_t cols, const float* logits,
                                               size_t ldx, const int* labels, float* gradient,
                                               size_t ldg, double* loss, size_t* correct) {
  return call(__func__, {}, [&] {
    const std::size_t hits =
        lockstep::softmax_cross_entropy(rows, cols, logits, ldx, labels, gradient, ldg, loss);
    if (correct != nullptr) *correct = hits;
  });
}

lockstep_status lockstep_mean_softmax_cross_entropy(size_t rows, size_t cols, const float* logits,
                                                    size_t ldx, const int* labels, float* gradient,
                                                    size_t ldg, double* loss, size_t* correct) {
  return call(__func__, {loss}, [&] {
    const lockstep::CrossEntropy mean =
        lockstep::mean_softmax_cross_entropy(rows, cols, logits, ldx, labels, gradient, ldg);
    *loss = mean.loss;
    if (correct != nullptr) *correct = mean.correct;
  });
}
