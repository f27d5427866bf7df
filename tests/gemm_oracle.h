#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <map>
#include <vector>

#include "backend_scope.h"
#include "catch.h"
#include "floats.h"
#include "guarded_matrix.h"
#include "lockstep/gemm.h"

namespace lockstep {

struct GemmProblem {
  std::size_t m, n, k;
  Transpose transpose_a = Transpose::no;
  Transpose transpose_b = Transpose::no;
  float alpha = 1;
  float beta = 0;
  std::size_t slack = 0;   // floats between the rows of each matrix
  std::size_t offset = 0;  // floats by which each matrix misses its alignment
  int threads = 1;
};

// op(A), op(B) and C of one problem, row-major without gaps. Smaller problems take their upper left
// parts, so that one oracle serves them all.
struct GemmValues {
  GemmValues(std::size_t rows, std::size_t cols, std::size_t depth)
      : m(rows),
        n(cols),
        k(depth),
        a(normal_floats(m * k, 1)),
        b(normal_floats(k * n, 2)),
        c(normal_floats(m * n, 3)) {}

  std::size_t m, n, k;
  std::vector<float> a, b, c;
};

// The upper left part of a matrix of `stride` columns, or the transpose of that part.
inline GuardedMatrix upper_left(const std::vector<float>& values, std::size_t stride,
                                std::size_t rows, std::size_t cols, std::size_t slack,
                                std::size_t offset, Transpose transpose = Transpose::no) {
  const bool plain = transpose == Transpose::no;
  GuardedMatrix matrix(plain ? rows : cols, plain ? cols : rows, slack, offset);
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < cols; ++j) {
      (plain ? matrix.at(i, j) : matrix.at(j, i)) = values[i * stride + j];
    }
  }
  return matrix;
}

// The operands of a problem as they stand in memory, where C holds what must not be read if beta is
// 0.
struct GemmOperands {
  GemmOperands(const GemmProblem& p, const GemmValues& v)
      : a(upper_left(v.a, v.k, p.m, p.k, p.slack, p.offset, p.transpose_a)),
        b(upper_left(v.b, v.n, p.k, p.n, p.slack, p.offset, p.transpose_b)),
        c(upper_left(v.c, v.n, p.m, p.n, p.slack, p.offset)) {
    if (p.beta != 0) return;
    constexpr std::array kPoison{kNaN, kInfinity, -kInfinity};
    std::vector<float> poison(p.m * p.n);
    for (std::size_t i = 0; i < poison.size(); ++i) poison[i] = kPoison[i % kPoison.size()];
    c.fill(poison);
  }

  GuardedMatrix a, b, c;
};

inline GuardedMatrix product(const GemmProblem& p, const GemmOperands& in) {
  GuardedMatrix c = in.c;
  gemm(p.transpose_a, p.transpose_b, p.m, p.n, p.k, p.alpha, in.a.data(), in.a.stride(),
       in.b.data(), in.b.stride(), p.beta, c.data(), c.stride(), p.threads);
  return c;
}

// What the elements of alpha A B + beta C are to be, computed by nothing of the library: the exact
// value in double, and the chain by which the header defines the bits.
class GemmOracle {
 public:
  // For products of these depths, in ascending order.
  GemmOracle(const GemmValues& v, float alpha, float beta, const std::vector<std::size_t>& depths)
      : cols_(v.n) {
    Elements now = start(v, beta);
    std::size_t done = 0;
    for (const std::size_t depth : depths) {
      for (; done < depth; ++done) add_step(v, alpha, done, now);
      by_depth_.emplace(depth, now);
    }
  }

  // How many elements of a product of depth k are wrong: beyond the header's error bound or, on a
  // backend that promises bits, other than the chain.
  [[nodiscard]] std::size_t wrong_elements(const GuardedMatrix& c, std::size_t k,
                                           bool fused) const {
    const Elements& expected = by_depth_.at(k);
    const double bound = static_cast<double>((fused ? 1 : 2) * k + 3) * 0x1p-24;
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < c.rows(); ++i) {
      const std::size_t first = i * cols_;
      const std::span<const float> row = c.row(i);
      for (std::size_t j = 0; j < row.size(); ++j) {
        const double error = std::abs(static_cast<double>(row[j]) - expected.exact[first + j]);
        const bool right = error <= bound * expected.size[first + j] &&
                           (!fused || same_bits(row[j], expected.chain[first + j]));
        wrong += right ? 0 : 1;
      }
    }
    return wrong;
  }

 private:
  struct Elements {
    std::vector<float> chain;
    std::vector<double> exact;
    std::vector<double> size;  // the sum of the sizes of the terms
  };

  static Elements start(const GemmValues& v, float beta) {
    Elements e;
    for (const float c : v.c) {
      const double exact = static_cast<double>(beta) * static_cast<double>(c);
      e.chain.push_back(beta == 0 ? 0 : beta * c);
      e.exact.push_back(exact);
      e.size.push_back(std::abs(exact));
    }
    return e;
  }

  static void add_step(const GemmValues& v, float alpha, std::size_t p, Elements& e) {
    if (alpha == 0) return;
    for (std::size_t i = 0; i < v.m; ++i) {
      const float a = v.a[i * v.k + p];
      for (std::size_t j = 0; j < v.n; ++j) {
        const float b = v.b[p * v.n + j];
        const double term =
            static_cast<double>(alpha) * static_cast<double>(a) * static_cast<double>(b);
        const std::size_t at = i * v.n + j;
        e.chain[at] = std::fma(a, alpha * b, e.chain[at]);
        e.exact[at] += term;
        e.size[at] += std::abs(term);
      }
    }
  }

  std::size_t cols_;
  std::map<std::size_t, Elements> by_depth_;
};

// Fails the test case if the GuardedMatrix that `call` makes is wrong on any of the backends.
template <class Call>
void check_on_backends(const std::vector<BackendInfo>& some, const GemmProblem& p,
                       const GemmOracle& oracle, const Call& call) {
  for (const BackendInfo& backend : some) {
    const BackendScope scope(backend.name);
    const GuardedMatrix c = call();
    const std::size_t wrong = oracle.wrong_elements(c, p.k, backend.fused);
    if (wrong == 0 && c.guards_intact()) continue;
    CAPTURE(backend.name, p.m, p.n, p.k, p.alpha, p.beta, p.slack, p.offset, p.threads);
    CAPTURE(static_cast<int>(p.transpose_a), static_cast<int>(p.transpose_b));
    FAIL(wrong << " wrong elements, guards " << (c.guards_intact() ? "intact" : "overwritten"));
  }
}

}  // namespace lockstep
