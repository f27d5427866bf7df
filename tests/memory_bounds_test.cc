// No kernel reads or writes beyond its operands, which end at a page without access.
// What is measured of many classes takes memory for the classes and for the samples, not for their
// pairs.
#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <vector>

#include "allocation_count.h"
#include "backend_scope.h"
#include "catch.h"
#include "floats.h"
#include "lockstep/aligned_vector.h"
#include "lockstep/elementwise.h"
#include "lockstep/gemm.h"
#include "lockstep/rnn/metrics.h"
#include "lockstep/softmax.h"
#include "page_guarded.h"

namespace lockstep {
namespace {

using Shape = std::array<std::size_t, 3>;

// m, n, k: B in place and packed, a transposed A copied, one row along B; last vectors of every
// length.
std::vector<Shape> shapes() {
  std::vector<Shape> all = {{13, 77, 1030}, {29, 35, 2100},  {6, 131, 600},
                            {1, 131, 300},  {1, 37, 1030},   {205, 130, 600},
                            {530, 70, 520}, {530, 131, 520}, {100, 600, 500}};
  for (std::size_t n = 1; n <= 66; ++n) all.push_back({7, n, 3});
  return all;
}

TEST_CASE("gemm stays within its operands") {
  for (const std::string& name : runnable_backends()) {
    const BackendScope scope(name);
    for (const auto& [m, n, k] : shapes()) {
      CAPTURE(name, m, n, k);
      PageGuarded a(normal_floats(m * k, 1));
      PageGuarded b(normal_floats(k * n, 2));
      PageGuarded c(normal_floats(m * n, 3));
      for (const Transpose ta : {Transpose::no, Transpose::yes}) {
        for (const Transpose tb : {Transpose::no, Transpose::yes}) {
          gemm(ta, tb, m, n, k, 1, a.data(), ta == Transpose::no ? k : m, b.data(),
               tb == Transpose::no ? n : k, 0.5f, c.data(), n, 1);
        }
      }
      CHECK(std::isfinite(c.data()[m * n - 1]));
    }
  }
}

TEST_CASE("packed products stay within their operands") {
  for (const std::string& name : runnable_backends()) {
    const BackendScope scope(name);
    for (const auto& [m, n, k] : shapes()) {
      CAPTURE(name, m, n, k);
      PageGuarded a(normal_floats(m * k, 1));
      PageGuarded b(normal_floats(k * n, 2));
      PageGuarded bias(normal_floats(n, 3));
      PageGuarded h(normal_floats(m * n, 4));
      PageGuarded c(normal_floats(m * n, 5));
      PackedMatrix packed(k, n);
      packed.pack(Transpose::yes, b.data(), k);
      packed.pack(Transpose::no, b.data(), n);
      PackedGemm g;
      g.m = m;
      g.a = a.data();
      g.lda = k;
      g.start = bias.data();
      g.c = c.data();
      g.ldc = n;
      g.h = h.data();
      g.ldh = n;
      for (const Epilogue epilogue : {Epilogue::tanh, Epilogue::tanh_gradient}) {
        g.epilogue = epilogue;
        gemm_packed(g, packed);
      }
      CHECK(std::isfinite(c.data()[m * n - 1]));
    }
  }
}

// Rows of B as far apart as lines, but beginning on none: their first columns are apart.
TEST_CASE("a B that begins on no line gives the same bits, within its operands") {
  constexpr std::size_t kStride = 544;
  for (const BackendInfo& info : runnable_infos()) {
    const std::string name(info.name);
    const BackendScope scope(name);
    for (const auto& [m, n, k] : {Shape{9, 530, 20}, {200, 513, 40}, {64, 540, 600}}) {
      const std::size_t floats = (k - 1) * kStride + n;
      const std::vector<float> a = normal_floats(m * k, 1);
      const std::vector<float> values = normal_floats(floats, 2);
      PageGuarded guarded(values);
      AlignedVector<float> aligned(floats);
      std::copy(values.begin(), values.end(), aligned.data());
      for (const int threads : {1, 2}) {
        for (const float beta : {0.0f, 0.5f}) {
          CAPTURE(name, m, n, k, threads, beta);
          PageGuarded c(normal_floats(m * n, 3));
          std::vector<float> expected = normal_floats(m * n, 3);
          const auto multiply = [&](const float* b, float* to) {
            gemm(Transpose::no, Transpose::no, m, n, k, 1, a.data(), k, b, kStride, beta, to, n,
                 threads);
          };
          multiply(guarded.data(), c.data());
          multiply(aligned.data(), expected.data());
          if (!info.fused) continue;  // its sums depend on the blocks
          CHECK(same_bits(std::span<const float>(c.data(), m * n), expected));
        }
      }
    }
  }
}

// Through depth blocks (512), row blocks (192) and rows of B that are fetched ahead.
TEST_CASE("weight gradients stay within their operands") {
  constexpr std::size_t kRows = 205, kColumns = 130, kDepth = 600;
  constexpr std::size_t kStride = 144;  // padded as the header asks
  for (const std::string& name : runnable_backends()) {
    CAPTURE(name);
    const BackendScope scope(name);
    PageGuarded a(normal_floats(kDepth * kRows, 1));
    PageGuarded b(normal_floats(kDepth * kStride, 2));
    PageGuarded c(std::vector<float>(kRows * kColumns, 0.25f));
    gemm_accumulate_transposed(kColumns, kDepth, a.data(), kRows, b.data(), kStride, c.data(),
                               kColumns, 0, kRows);
    CHECK(std::isfinite(c.data()[kRows * kColumns - 1]));
  }
}

TEST_CASE("elementwise functions and softmax stay within their operands") {
  for (const std::string& name : runnable_backends()) {
    const BackendScope scope(name);
    for (std::size_t n = 1; n <= 300; n += n < 70 ? 1 : 23) {
      CAPTURE(name, n);
      PageGuarded x(normal_floats(3 * n, 1));
      PageGuarded y(normal_floats(3 * n, 2));
      for (const auto function : {&tanh, &exp, &sigmoid, &relu})
        function(x.data(), y.data(), 3 * n);
      softmax(3, n, x.data(), n, y.data(), n);
      log_softmax(3, n, x.data(), n, y.data(), n);
      const std::vector<int> labels(3, 0);
      std::vector<double> losses(3);
      softmax_cross_entropy(3, n, x.data(), n, labels.data(), y.data(), n, losses.data());
      CHECK(std::isfinite(losses[2]));
    }
  }
}

TEST_CASE("a measurement of many classes takes no memory for all pairs of them") {
  constexpr std::size_t kClasses = 16000;
  const std::vector<float> probabilities(3 * kClasses, 1.0f / kClasses);
  const std::array labels{0, 7, 15999};
  const auto before = allocated_bytes();
  const Evaluation e = evaluate(probabilities, labels, kClasses);
  const auto after = allocated_bytes();
  CHECK(e.confusion == std::vector<ConfusionCount>{{0, 0, 1}, {7, 0, 1}, {15999, 0, 1}});
  CHECK(e.support.size() == kClasses);
  if (after) CHECK(*after - *before < 200 * kClasses);
}

}  // namespace
}  // namespace lockstep
