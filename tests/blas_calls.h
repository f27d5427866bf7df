#pragma once

#include <sys/mman.h>

#include <array>
#include <cstddef>

#include "lockstep-cblas/cblas.h"
#include "lockstep/matrix_view.h"

extern "C" {
void sgemm_(const char* trans_a, const char* trans_b, const int* m, const int* n, const int* k,
            const float* alpha, const float* a, const int* lda, const float* b, const int* ldb,
            const float* beta, float* c, const int* ldc);
void sgemv_(const char* trans, const int* m, const int* n, const float* alpha, const float* a,
            const int* lda, const float* x, const int* incx, const float* beta, float* y,
            const int* incy);
}

namespace lockstep {

// In which ways BLAS can be called.
enum class Interface { fortran, c_by_columns, c_by_rows };
inline constexpr std::array kInterfaces{Interface::fortran, Interface::c_by_columns,
                                        Interface::c_by_rows};

constexpr CBLAS_LAYOUT layout_of(Interface interface) {
  return interface == Interface::c_by_rows ? CblasRowMajor : CblasColMajor;
}

// What is said of a matrix, in both languages.
struct Operation {
  char letter;
  CBLAS_TRANSPOSE value;
  bool transposes;
};
inline constexpr std::array kOperations{Operation{'N', CblasNoTrans, false},
                                        Operation{'T', CblasTrans, true},
                                        Operation{'C', CblasConjTrans, true}};
inline constexpr std::array kSmallLetters{Operation{'n', CblasNoTrans, false},
                                          Operation{'t', CblasTrans, true},
                                          Operation{'c', CblasConjTrans, true}};

// How the matrix of an operation is in memory, seen row after row.
constexpr Transpose in_memory(const Operation& operation, Interface interface) {
  const bool by_columns = interface != Interface::c_by_rows;
  return operation.transposes != by_columns ? Transpose::yes : Transpose::no;
}

// The stride of an empty matrix must not be 0.
constexpr int leading_dimension(std::size_t stride) {
  return stride == 0 ? 1 : static_cast<int>(stride);
}

struct SgemmCall {
  Interface interface = Interface::fortran;
  Operation op_a = kOperations[0];
  Operation op_b = kOperations[0];
  int m = 1;
  int n = 1;
  int k = 1;
  float alpha = 1;
  const float* a = nullptr;
  int lda = 1;
  const float* b = nullptr;
  int ldb = 1;
  float beta = 0;
  float* c = nullptr;
  int ldc = 1;

  void run() const {
    if (interface == Interface::fortran) {
      sgemm_(&op_a.letter, &op_b.letter, &m, &n, &k, &alpha, a, &lda, b, &ldb, &beta, c, &ldc);
    } else {
      cblas_sgemm(layout_of(interface), op_a.value, op_b.value, m, n, k, alpha, a, lda, b, ldb,
                  beta, c, ldc);
    }
  }
};

struct SgemvCall {
  Interface interface = Interface::fortran;
  Operation op = kOperations[0];
  int m = 1;
  int n = 1;
  float alpha = 1;
  const float* a = nullptr;
  int lda = 1;
  const float* x = nullptr;
  int incx = 1;
  float beta = 0;
  float* y = nullptr;
  int incy = 1;

  void run() const {
    if (interface == Interface::fortran) {
      sgemv_(&op.letter, &m, &n, &alpha, a, &lda, x, &incx, &beta, y, &incy);
    } else {
      cblas_sgemv(layout_of(interface), op.value, m, n, alpha, a, lda, x, incx, beta, y, incy);
    }
  }
};

// Memory for a matrix whose few elements are far apart; only what is touched is taken. Null where
// the system does not give that.
class FarFloats {
 public:
  explicit FarFloats(std::size_t count) : bytes_(count * sizeof(float)) {
    void* memory = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory != MAP_FAILED) data_ = static_cast<float*>(memory);
  }
  ~FarFloats() {
    if (data_ != nullptr) ::munmap(data_, bytes_);
  }
  FarFloats(const FarFloats&) = delete;
  FarFloats& operator=(const FarFloats&) = delete;

  [[nodiscard]] float* data() const { return data_; }

 private:
  std::size_t bytes_;
  float* data_ = nullptr;
};

}  // namespace lockstep
