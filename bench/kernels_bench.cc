#include <algorithm>
#include <cmath>
#include <vector>

#include "lockstep/elementwise.h"
#include "lockstep/gemm.h"
#include "lockstep/softmax.h"
#include "suites.h"

namespace lockstep {
namespace {

// Numbers in [-1, 1) without pattern, the same in every run.
std::vector<float> numbers(std::size_t n, unsigned seed) {
  std::vector<float> x(n);
  unsigned state = seed;
  for (float& v : x) {
    state = state * 1664525u + 1013904223u;  // Numerical Recipes' quick generator
    v = static_cast<float>(state >> 8) * 0x1p-23f - 1.0f;
  }
  return x;
}

// A benchmark times nothing that the reference backend does not confirm.
bool agrees(const std::vector<float>& found, const std::vector<float>& expected, float tolerance) {
  float largest = 0;
  for (const float e : expected) largest = std::max(largest, std::abs(e));
  for (std::size_t i = 0; i < found.size(); ++i) {
    // Written so that NaN does not pass.
    if (!(std::abs(found[i] - expected[i]) <= tolerance * largest)) return false;
  }
  return true;
}

// Runs `kernel` into `out` on the backend, checks it against the reference, then times it.
template <class Kernel>
void verify_and_time(benchmark::State& state, const std::string& backend, std::vector<float>& out,
                     Kernel kernel) {
  set_backend("reference");
  kernel();
  const std::vector<float> expected = out;
  set_backend(backend);
  kernel();
  if (!agrees(out, expected, 1e-5f)) {
    state.SkipWithError("the result differs from the reference backend's");
    return;
  }
  for (auto _ : state) {
    kernel();
    benchmark::ClobberMemory();
  }
}

struct GemmShape {
  std::size_t m, n, k;
};

// A network's recurrent step, its weight gradient, its logits, and squares.
constexpr GemmShape kGemmShapes[] = {{1, 64, 64},     {20, 50, 50},   {32, 128, 128},
                                     {64, 256, 256},  {32, 10, 128},  {256, 256, 1600},
                                     {128, 512, 512}, {512, 512, 512}};

void register_gemm(const std::string& backend, const GemmShape& s) {
  const std::string name = "gemm/" + backend + "/" + std::to_string(s.m) + "x" +
                           std::to_string(s.n) + "x" + std::to_string(s.k);
  const auto run = [backend, s](benchmark::State& state) {
    const std::vector<float> a = numbers(s.m * s.k, 1);
    const std::vector<float> b = numbers(s.k * s.n, 2);
    std::vector<float> c(s.m * s.n);
    verify_and_time(state, backend, c, [&] {
      gemm(Transpose::no, Transpose::no, s.m, s.n, s.k, 1.0f, a.data(), s.k, b.data(), s.n, 0.0f,
           c.data(), s.n, 1);
    });
    state.counters["FLOP/s"] = rate(2.0 * static_cast<double>(s.m * s.n * s.k));
  };
  benchmark::RegisterBenchmark(name.c_str(), run)->UseRealTime();
}

void register_elementwise(const std::string& backend, const char* function,
                          void (*kernel)(const float*, float*, std::size_t)) {
  constexpr std::size_t kCount = 4096;  // 16 KiB in, 16 KiB out: first-level cache
  const std::string name = std::string(function) + "/" + backend + "/" + std::to_string(kCount);
  const auto run = [backend, kernel](benchmark::State& state) {
    const std::vector<float> x = numbers(kCount, 3);
    std::vector<float> y(kCount);
    verify_and_time(state, backend, y, [&] { kernel(x.data(), y.data(), kCount); });
    state.counters["elements/s"] = rate(static_cast<double>(kCount));
  };
  benchmark::RegisterBenchmark(name.c_str(), run)->UseRealTime();
}

void register_softmax(const std::string& backend, std::size_t rows, std::size_t cols) {
  const std::string name =
      "softmax/" + backend + "/" + std::to_string(rows) + "x" + std::to_string(cols);
  const auto run = [backend, rows, cols](benchmark::State& state) {
    const std::vector<float> x = numbers(rows * cols, 4);
    std::vector<float> y(rows * cols);
    verify_and_time(state, backend, y,
                    [&] { softmax(rows, cols, x.data(), cols, y.data(), cols); });
    state.counters["elements/s"] = rate(static_cast<double>(rows * cols));
  };
  benchmark::RegisterBenchmark(name.c_str(), run)->UseRealTime();
}

}  // namespace

void register_kernel_benchmarks(const std::string& backend) {
  for (const GemmShape& s : kGemmShapes) register_gemm(backend, s);
  register_elementwise(backend, "tanh", &tanh);
  register_elementwise(backend, "exp", &exp);
  register_softmax(backend, 64, 10);
  register_softmax(backend, 64, 1000);
}

}  // namespace lockstep
