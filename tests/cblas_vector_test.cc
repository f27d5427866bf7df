// sgemv under its BLAS names, with everything that netlib's tester of level 2 varies.
#include <cmath>
#include <cstdlib>
#include <vector>

#include "blas_calls.h"
#include "catch.h"
#include "floats.h"
#include "guarded_matrix.h"
#include "lockstep/backend.h"

namespace lockstep {
namespace {

// The elements of a vector between guards, as far apart and in the order that an increment says.
class BlasVector {
 public:
  BlasVector(const std::vector<float>& values, int increment)
      : count_(values.size()),
        is_backward_(increment < 0),
        memory_(count_, 1, static_cast<std::size_t>(std::abs(increment)) - 1) {
    for (std::size_t i = 0; i < count_; ++i) memory_.at(place(i), 0) = values[i];
  }

  [[nodiscard]] float* data() { return memory_.data(); }
  [[nodiscard]] float operator[](std::size_t i) const { return memory_.at(place(i), 0); }
  [[nodiscard]] bool guards_intact() const { return memory_.guards_intact(); }

 private:
  [[nodiscard]] std::size_t place(std::size_t i) const { return is_backward_ ? count_ - 1 - i : i; }

  std::size_t count_;
  bool is_backward_;
  GuardedMatrix memory_;
};

struct Problem {
  Interface interface;
  Operation op;
  std::size_t outputs;  // rows of op(A)
  std::size_t inputs;   // its columns
  std::size_t slack;
  float alpha;
  float beta;
  int incx;
  int incy;
};

class Sgemv {
 public:
  explicit Sgemv(const Problem& problem)
      : p_(problem),
        op_a_(normal_floats(p_.outputs * p_.inputs, 1)),
        x_(normal_floats(p_.inputs, 2)),
        y_(normal_floats(p_.outputs, 3)) {}

  void check() const {
    const float unread = kNaN;
    const bool reads = p_.alpha != 0;
    const GuardedMatrix a = matrix(reads ? op_a_ : std::vector<float>(op_a_.size(), unread));
    BlasVector x(reads ? x_ : std::vector<float>(x_.size(), unread), p_.incx);
    BlasVector y(p_.beta != 0 ? y_ : std::vector<float>(y_.size(), unread), p_.incy);
    const BlasVector old = y;
    SgemvCall{.interface = p_.interface,
              .op = p_.op,
              .m = static_cast<int>(p_.op.transposes ? p_.inputs : p_.outputs),
              .n = static_cast<int>(p_.op.transposes ? p_.outputs : p_.inputs),
              .alpha = p_.alpha,
              .a = a.data(),
              .lda = leading_dimension(a.stride()),
              .x = x.data(),
              .incx = p_.incx,
              .beta = p_.beta,
              .y = y.data(),
              .incy = p_.incy}
        .run();
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < p_.outputs; ++i) {
      const bool right = p_.inputs == 0 ? same_bits(y[i], old[i]) : is_right(i, y[i]);
      wrong += right ? 0 : 1;
    }
    if (wrong == 0 && y.guards_intact()) return;
    CAPTURE(static_cast<int>(p_.interface), p_.op.letter, p_.outputs, p_.inputs, p_.slack);
    CAPTURE(p_.alpha, p_.beta, p_.incx, p_.incy);
    FAIL(wrong << " wrong elements, guards " << (y.guards_intact() ? "intact" : "overwritten"));
  }

 private:
  [[nodiscard]] GuardedMatrix matrix(const std::vector<float>& values) const {
    const bool plain = in_memory(p_.op, p_.interface) == Transpose::no;
    GuardedMatrix a(plain ? p_.outputs : p_.inputs, plain ? p_.inputs : p_.outputs, p_.slack);
    for (std::size_t i = 0; i < p_.outputs; ++i) {
      for (std::size_t j = 0; j < p_.inputs; ++j) {
        (plain ? a.at(i, j) : a.at(j, i)) = values[i * p_.inputs + j];
      }
    }
    return a;
  }

  // As the header promises: near the exact value and, where multiply-adds are fused, the chain.
  [[nodiscard]] bool is_right(std::size_t i, float found) const {
    const bool fused = active_backend().fused;
    float chain = p_.beta == 0 ? 0 : p_.beta * y_[i];
    double exact = static_cast<double>(p_.beta) * static_cast<double>(y_[i]);
    double size = std::abs(exact);
    for (std::size_t j = 0; j < p_.inputs && p_.alpha != 0; ++j) {
      const float a = op_a_[i * p_.inputs + j];
      const double term =
          static_cast<double>(p_.alpha) * static_cast<double>(a) * static_cast<double>(x_[j]);
      chain = std::fma(a, p_.alpha * x_[j], chain);
      exact += term;
      size += std::abs(term);
    }
    const double bound = static_cast<double>((fused ? 1 : 2) * p_.inputs + 3) * 0x1p-24 * size;
    return std::abs(static_cast<double>(found) - exact) <= bound &&
           (!fused || same_bits(found, chain));
  }

  Problem p_;
  std::vector<float> op_a_;
  std::vector<float> x_;
  std::vector<float> y_;
};

template <class Body>
void for_each_increments(const Body& body) {
  for (const int incx : {1, 2, -1, -2}) {
    for (const int incy : {1, 3, -1, -3}) body(incx, incy);
  }
}

template <class Body>
void for_each_factors(const Body& body) {
  for (const float alpha : {0.0f, 1.0f, 0.7f}) {
    for (const float beta : {0.0f, 1.0f, 0.9f}) body(alpha, beta);
  }
}

void check_size(std::size_t outputs, std::size_t inputs) {
  for (const Interface interface : kInterfaces) {
    for (const Operation& op : kOperations) {
      for_each_increments([&](int incx, int incy) {
        for_each_factors([&](float alpha, float beta) {
          const std::size_t slack = (outputs + inputs) % 3;
          Sgemv({interface, op, outputs, inputs, slack, alpha, beta, incx, incy}).check();
        });
      });
    }
  }
}

TEST_CASE("sgemv is right in all orders, transpositions, sizes, strides and increments") {
  const std::vector<std::size_t> sizes{0, 1, 2, 3, 5, 9, 35};
  for (const std::size_t outputs : sizes) {
    for (const std::size_t inputs : sizes) check_size(outputs, inputs);
  }
  // Longer than what needs no memory.
  check_size(700, 3);
  check_size(2, 700);
  SUCCEED();
}

TEST_CASE("Fortran's letters may be small in sgemv") {
  for (const Operation& op : kSmallLetters) {
    Sgemv({Interface::fortran, op, 5, 3, 1, 0.7f, 0.9f, 1, 1}).check();
  }
  SUCCEED();
}

TEST_CASE("vectors may span more floats than an int counts", "[optional]") {
  constexpr int kFar = 1 << 30;
  const FarFloats x(std::size_t{2} * kFar + 1);
  const FarFloats y(std::size_t{2} * kFar + 1);
  if (x.data() == nullptr || y.data() == nullptr) LOCKSTEP_SKIP("no addresses for 16 GiB");
  for (std::size_t i = 0; i < 3; ++i) x.data()[i * kFar] = static_cast<float>(i + 1);
  const std::vector<float> diagonal{1, 0, 0, 0, 10, 0, 0, 0, 100};
  SgemvCall call{.m = 3,
                 .n = 3,
                 .a = diagonal.data(),
                 .lda = 3,
                 .x = x.data(),
                 .incx = kFar,
                 .y = y.data(),
                 .incy = -kFar};
  call.run();
  CHECK(y.data()[std::size_t{2} * kFar] == 1);
  CHECK(y.data()[kFar] == 20);
  CHECK(y.data()[0] == 300);
}

}  // namespace
}  // namespace lockstep
