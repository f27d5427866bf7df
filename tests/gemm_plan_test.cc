#include <array>
#include <stdexcept>
#include <thread>
#include <utility>

#include "gemm_oracle.h"
#include "lockstep/gemm.h"

namespace lockstep {
namespace {

GemmPlan plan_of(const GemmProblem& p, const GemmOperands& in) {
  return {p.transpose_a, p.transpose_b, p.m,    p.n,           p.k,      p.alpha,
          in.a.stride(), in.b.stride(), p.beta, in.c.stride(), p.threads};
}

// In one piece (small), in blocks, along the rows of B, scaled only, nothing to do.
constexpr std::array<std::array<std::size_t, 3>, 10> kShapes{{{1, 1, 1},
                                                              {7, 15, 17},
                                                              {20, 50, 50},
                                                              {13, 150, 40},
                                                              {12, 66, 512},
                                                              {67, 129, 600},
                                                              {1, 131, 300},
                                                              {3, 5, 0},
                                                              {0, 5, 3},
                                                              {5, 0, 3}}};

TEST_CASE("a plan is right again and again, whatever ran before") {
  for (const auto& [m, n, k] : kShapes) {
    const GemmValues values(m, n, k);
    for (const auto& [alpha, beta] :
         {std::pair{1.0f, 1.0f}, {1.0f, 0.0f}, {-0.7f, 0.3f}, {0.0f, 2.0f}}) {
      const GemmOracle oracle(values, alpha, beta, {k});
      for (const Transpose transpose_a : {Transpose::no, Transpose::yes}) {
        for (const int threads : {1, 3}) {
          const GemmProblem p{m, n, k, transpose_a, Transpose::no, alpha, beta, 1, 2, threads};
          const GemmOperands in(p, values);
          // Other operands in other places between two runs of the same.
          const GemmOperands other = in;
          check_on_backends(runnable_infos(), p, oracle, [&] {
            const GemmPlan plan = plan_of(p, in);
            GuardedMatrix first = other.c;
            plan.run(other.a.data(), other.b.data(), first.data());
            GuardedMatrix c = in.c;
            plan.run(in.a.data(), in.b.data(), c.data());
            CHECK(first.guards_intact());
            CHECK(same_bits(first.values(), c.values()));
            return c;
          });
        }
      }
    }
  }
}

TEST_CASE("a plan runs on its own backend, on several threads at a time") {
  const std::vector<std::string> names = runnable_backends();
  const GemmProblem p{20, 50, 50};
  const GemmValues values(p.m, p.n, p.k);
  const GemmOperands in(p, values);
  for (const std::string& name : names) {
    GemmPlan plan = [&] {
      const BackendScope scope(name);
      return plan_of(p, in);
    }();
    const BackendScope other(name == names.front() ? names.back() : names.front());
    GuardedMatrix expected = in.c;
    plan.run(in.a.data(), in.b.data(), expected.data());
    CHECK(last_backend() == name);
    const GemmPlan moved = std::move(plan);
    std::array<GuardedMatrix, 4> results{in.c, in.c, in.c, in.c};
    std::vector<std::thread> threads;
    for (GuardedMatrix& c : results) {
      threads.emplace_back([&] {
        for (int i = 0; i < 20; ++i) moved.run(in.a.data(), in.b.data(), c.data());
      });
    }
    for (std::thread& t : threads) t.join();
    for (const GuardedMatrix& c : results) CHECK(same_bits(c.values(), expected.values()));
  }
}

TEST_CASE("a plan names the argument that does not fit") {
  const auto make = [](std::size_t lda, std::size_t ldb, std::size_t ldc, int threads) {
    return GemmPlan(Transpose::no, Transpose::no, 2, 3, 4, 1, lda, ldb, 0, ldc, threads);
  };
  CHECK_THROWS_AS(make(3, 3, 3, 1), std::invalid_argument);
  CHECK_THROWS_AS(make(4, 2, 3, 1), std::invalid_argument);
  CHECK_THROWS_AS(make(4, 3, 2, 1), std::invalid_argument);
  CHECK_THROWS_AS(make(4, 3, 3, -1), std::invalid_argument);
  const GemmPlan plan = make(4, 3, 3, 1);
  std::array<float, 12> a{};
  std::array<float, 12> b{};
  std::array<float, 6> c{};
  CHECK_THROWS_AS(plan.run(nullptr, b.data(), c.data()), std::invalid_argument);
  CHECK_THROWS_AS(plan.run(a.data(), nullptr, c.data()), std::invalid_argument);
  CHECK_THROWS_AS(plan.run(a.data(), b.data(), nullptr), std::invalid_argument);
}

}  // namespace
}  // namespace lockstep
