#include "products.h"

#include <array>
#include <cstddef>
#include <memory>

namespace lockstep::blas {
namespace {

// The elements of a vector as BLAS passes it: with a negative increment the last in memory is
// first.
template <class T>
class Strided {
 public:
  Strided(T* data, std::size_t count, int increment)
      : increment_(increment),
        first_(increment > 0 ? data : data - static_cast<std::ptrdiff_t>(count - 1) * increment_) {}
  T& operator[](std::size_t i) const { return first_[static_cast<std::ptrdiff_t>(i) * increment_]; }

 private:
  std::ptrdiff_t increment_;
  T* first_;
};

// Work memory, of which few floats are no allocation.
class Floats {
 public:
  explicit Floats(std::size_t count)
      : many_(count <= few_.size() ? nullptr : std::make_unique_for_overwrite<float[]>(count)) {}
  float* data() { return many_ == nullptr ? few_.data() : many_.get(); }

 private:
  std::array<float, 512> few_;
  std::unique_ptr<float[]> many_;
};

// y = op(A) x + beta y with vectors without gaps. The rows of the kernels are the columns of A.
void multiply(const Sgemv& g, float alpha, const float* x, float* y) {
  const std::size_t m = size(g.m);
  const std::size_t n = size(g.n);
  if (g.transpose == Transpose::no) {
    gemm(Transpose::no, Transpose::no, 1, m, n, alpha, x, n, g.a, size(g.lda), g.beta, y, m);
  } else {
    gemm(Transpose::no, Transpose::no, n, 1, m, alpha, g.a, size(g.lda), x, 1, g.beta, y, 1);
  }
}

void multiply_from(const Sgemv& g, float alpha, const float* x) {
  if (g.incy == 1) return multiply(g, alpha, x, g.y);
  const std::size_t count = size(g.transpose == Transpose::no ? g.m : g.n);
  const Strided<float> strided(g.y, count, g.incy);
  Floats y(count);
  if (g.beta != 0) {
    for (std::size_t i = 0; i < count; ++i) y.data()[i] = strided[i];
  }
  multiply(g, alpha, x, y.data());
  for (std::size_t i = 0; i < count; ++i) strided[i] = y.data()[i];
}

}  // namespace

void multiply(const Sgemv& g) {
  if (g.m == 0 || g.n == 0 || (g.alpha == 0 && g.beta == 1)) return;
  if (g.alpha == 0 || (g.alpha == 1 && g.incx == 1)) return multiply_from(g, g.alpha, g.x);
  const std::size_t count = size(g.transpose == Transpose::no ? g.n : g.m);
  const Strided<const float> strided(g.x, count, g.incx);
  Floats x(count);
  for (std::size_t i = 0; i < count; ++i) x.data()[i] = g.alpha * strided[i];
  multiply_from(g, 1, x.data());
}

}  // namespace lockstep::blas
