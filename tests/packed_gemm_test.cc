#include <array>
#include <cmath>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>

#include "allocation_count.h"
#include "backend_scope.h"
#include "catch.h"
#include "guarded_matrix.h"
#include "lockstep/elementwise.h"
#include "lockstep/gemm.h"

namespace lockstep {
namespace {

enum class Start { none, bias, matrix, in_place };

struct Layer {
  std::size_t m, n, k;
  Start start = Start::none;
  Epilogue epilogue = Epilogue::none;
  Transpose transpose = Transpose::no;
};

struct Operands {
  explicit Operands(const Layer& l)
      : a(normal_matrix(l.m, l.k, 1, 3, 1)),
        b(l.transpose == Transpose::no ? normal_matrix(l.k, l.n, 2, 5, 2)
                                       : normal_matrix(l.n, l.k, 2, 5, 2)),
        start(normal_matrix(l.start == Start::bias ? 1 : l.m, l.n, 3, 1, 3)),
        h(l.m, l.n, 2, 1) {
    std::vector<float> states = normal_floats(l.m * l.n, 4);
    tanh(states.data(), states.data(), states.size());
    h.fill(states);
  }

  GuardedMatrix a, b, start, h;
};

PackedMatrix packed(const Layer& l, const Operands& in) {
  PackedMatrix b(l.k, l.n);
  b.pack(l.transpose, in.b.data(), in.b.stride());
  return b;
}

PackedGemm packed_gemm(const Layer& l, const Operands& in, GuardedMatrix& c) {
  PackedGemm g;
  g.m = l.m;
  g.a = in.a.data();
  g.lda = in.a.stride();
  if (l.start == Start::in_place) {
    c.fill(in.start.values());
    g.start = c.data();
    g.start_stride = c.stride();
  } else if (l.start != Start::none) {
    g.start = in.start.data();
    g.start_stride = l.start == Start::bias ? 0 : in.start.stride();
  }
  g.c = c.data();
  g.ldc = c.stride();
  g.epilogue = l.epilogue;
  g.h = l.epilogue == Epilogue::tanh_gradient ? in.h.data() : nullptr;
  g.ldh = in.h.stride();
  return g;
}

GuardedMatrix product(const Layer& l, const Operands& in) {
  GuardedMatrix c(l.m, l.n, 4, 3);
  gemm_packed(packed_gemm(l, in, c), packed(l, in));
  return c;
}

struct Term {
  double value;
  double size;  // sum of the sizes of what was added
};

Term finished_sum(const Layer& l, const Operands& in, std::size_t row, std::size_t col) {
  Term sum{0, 0};
  const auto add = [&](double x) { sum = {sum.value + x, sum.size + std::abs(x)}; };
  if (l.start != Start::none) {
    add(static_cast<double>(in.start.at(l.start == Start::bias ? 0 : row, col)));
  }
  for (std::size_t p = 0; p < l.k; ++p) {
    const float b = l.transpose == Transpose::no ? in.b.at(p, col) : in.b.at(col, p);
    add(static_cast<double>(in.a.at(row, p)) * static_cast<double>(b));
  }
  return sum;
}

// Bound of the sum as in gemm. tanh shrinks errors and adds its own; the other epilogue is two
// rounded operations.
bool is_within_bound(const Layer& l, const Operands& in, std::size_t row, std::size_t col,
                     float found, bool fused) {
  const Term sum = finished_sum(l, in, row, col);
  double bound = static_cast<double>((fused ? 1 : 2) * l.k + 3) * 0x1p-24 * sum.size;
  double expected = sum.value;
  if (l.epilogue == Epilogue::tanh) {
    expected = std::tanh(sum.value);
    bound += kTanhMaxUlp * 0x1p-23 * std::abs(expected);
  } else if (l.epilogue == Epilogue::tanh_gradient) {
    const auto h = static_cast<double>(in.h.at(row, col));
    expected *= 1 - h * h;
    bound += 3 * 0x1p-24 * std::abs(sum.value);
  }
  return std::abs(static_cast<double>(found) - expected) <= bound;
}

void check_on_every_backend(const Layer& l) {
  const Operands in(l);
  for (const BackendInfo& backend : backends()) {
    if (!backend.runnable) continue;
    CAPTURE(backend.name, l.m, l.n, l.k, static_cast<int>(l.start), static_cast<int>(l.epilogue));
    const BackendScope scope(backend.name);
    const GuardedMatrix c = product(l, in);
    CHECK(c.guards_intact());
    for (std::size_t i = 0; i < l.m * l.n; ++i) {
      const std::size_t row = i / l.n;
      const std::size_t col = i % l.n;
      if (!is_within_bound(l, in, row, col, c.at(row, col), backend.fused)) {
        FAIL_CHECK("element " << row << ", " << col << " is " << c.at(row, col));
      }
    }
  }
}

constexpr std::array kStarts{Start::none, Start::bias, Start::matrix, Start::in_place};
constexpr std::array kEpilogues{Epilogue::none, Epilogue::tanh, Epilogue::tanh_gradient};
constexpr std::array kTransposes{Transpose::no, Transpose::yes};

TEST_CASE("gemm_packed is within its error bound for every start and epilogue") {
  for (const Start start : kStarts) {
    for (const Epilogue epilogue : kEpilogues) {
      for (const Transpose transpose : kTransposes) {
        check_on_every_backend({1, 1, 1, start, epilogue, transpose});
        check_on_every_backend({5, 67, 0, start, epilogue, transpose});
        check_on_every_backend({14, 131, 19, start, epilogue, transpose});
        check_on_every_backend({3, 17, 600, start, epilogue, transpose});  // two blocks of depth
      }
    }
  }
}

// Tiles whose rows are a single vector of some backend may have up to twelve of them.
template <class Function>
void for_each_high_tile(Function function) {
  for (std::size_t m = 7; m <= 12; ++m) {
    for (std::size_t n = 1; n <= 16; ++n) function(m, n);
  }
}

TEST_CASE("gemm_packed is within its error bound in high tiles of every size") {
  for (const Start start : kStarts) {
    for (const Epilogue epilogue : kEpilogues) {
      for_each_high_tile([&](std::size_t m, std::size_t n) {
        check_on_every_backend({m, n, 23, start, epilogue});
      });
    }
  }
}

// A tile and a last one of every width, and high tiles of every size.
std::vector<Layer> layers_of_every_tile(Epilogue epilogue) {
  std::vector<Layer> layers{{29, 101, 333, Start::bias, epilogue}};
  for (std::size_t n = 1; n <= 66; ++n) layers.push_back({11, n, 23, Start::bias, epilogue});
  for_each_high_tile(
      [&](std::size_t m, std::size_t n) { layers.push_back({m, n, 23, Start::bias, epilogue}); });
  // Short rows, several of which may be taken at once, and the last of them left over.
  for (std::size_t m = 1; m <= 6; ++m) {
    for (std::size_t n = 1; n <= 33; ++n) layers.push_back({m, n, 5, Start::bias, epilogue});
  }
  for (const std::size_t n : {7u, 16u, 17u, 32u})
    layers.push_back({200, n, 3, Start::bias, epilogue});
  return layers;
}

TEST_CASE("gemm_packed gives the same bits on every fused backend", "[optional]") {
  LOCKSTEP_SKIP_WITHOUT_TWO_FUSED();
  for (const Epilogue epilogue : kEpilogues) {
    for (const Layer& l : layers_of_every_tile(epilogue)) {
      const Operands in(l);
      std::vector<float> first;
      for (const std::string& name : fused_backends()) {
        CAPTURE(name, l.m, l.n, static_cast<int>(epilogue));
        const BackendScope scope(name);
        const std::vector<float> c = product(l, in).values();
        if (first.empty()) first = c;
        CHECK(same_bits(c, first));
      }
    }
  }
}

TEST_CASE("the tanh epilogue gives the bits of lockstep::tanh") {
  for (const Layer& with_tanh : layers_of_every_tile(Epilogue::tanh)) {
    Layer plain = with_tanh;
    plain.epilogue = Epilogue::none;
    const Operands in(plain);
    for (const std::string& name : runnable_backends()) {
      CAPTURE(name, plain.m, plain.n);
      const BackendScope scope(name);
      std::vector<float> c = product(plain, in).values();
      tanh(c.data(), c.data(), c.size());
      CHECK(same_bits(product(with_tanh, in).values(), c));
    }
  }
}

TEST_CASE("a range of panels covers its columns only, and all ranges together everything") {
  const Layer l{9, 301, 20, Start::matrix, Epilogue::tanh};
  const Operands in(l);
  for (const std::string& name : runnable_backends()) {
    CAPTURE(name);
    const BackendScope scope(name);
    PackedMatrix b(l.k, l.n);
    for (std::size_t p = b.panels(); p-- > 0;) {
      b.pack_panels(l.transpose, in.b.data(), in.b.stride(), p, p + 1);
    }
    GuardedMatrix c(l.m, l.n, 4, 3);
    const PackedGemm g = packed_gemm(l, in, c);
    for (std::size_t p = b.panels(); p-- > 1;)
      gemm_packed(g, b, {.first_panel = p, .last_panel = p + 1});
    CHECK(c.at(0, 0) == 0.0f);
    gemm_packed(g, b, {.last_panel = 0});
    CHECK(c.at(0, 0) == 0.0f);
    gemm_packed(g, b, {.last_panel = 1});
    CHECK(c.guards_intact());
    CHECK(same_bits(c.values(), product(l, in).values()));
  }
}

TEST_CASE("products over parts of k, one after another, have the bits of one over all") {
  const Layer l{5, 139, 600, Start::bias, Epilogue::tanh};
  const Operands in(l);
  for (const std::string& name : runnable_backends()) {
    // The reference rounds a sum once per product.
    const float tolerance = name == "reference" ? 1e-5f : 0.0f;
    const BackendScope scope(name);
    const std::vector<float> whole = product(l, in).values();
    const PackedMatrix b = packed(l, in);
    for (const std::size_t rows : {1u, 2u, 5u}) {
      for (const std::size_t cut : {0u, 1u, 88u, 512u, 599u, 600u}) {
        CAPTURE(name, rows, cut);
        GuardedMatrix c(l.m, l.n, 4, 3);
        PackedGemm g = packed_gemm(l, in, c);
        g.m = rows;
        g.epilogue = Epilogue::none;
        gemm_packed(g, b, {.last_k = cut});
        g.a = in.a.data() + cut;
        g.start = c.data();
        g.start_stride = c.stride();
        g.epilogue = Epilogue::tanh;
        gemm_packed(g, b, {.first_k = cut});
        const std::vector<float> found = c.values();
        const auto is_close = [=](float x, float y) { return std::abs(x - y) <= tolerance; };
        CHECK(std::equal(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(rows * l.n),
                         whole.begin(), is_close));
        CHECK(c.guards_intact());
      }
    }
  }
}

// What gemm_packed leaves of C, filled with NaN before.
std::vector<float> left_by_product(const PackedGemm& g, const PackedMatrix& b,
                                   const PackedBlock& block, GuardedMatrix& c) {
  c.fill(std::vector<float>(c.values().size(), std::nanf("")));
  gemm_packed(g, b, block);
  return c.values();
}

TEST_CASE("runs of a plan have the bits of gemm_packed, whatever their rows and operands") {
  const std::vector<PackedBlock> blocks{{}, {.first_k = 2}, {.last_panel = 1}, {.first_panel = 1}};
  for (const Start start : {Start::none, Start::bias, Start::matrix}) {
    for (const Epilogue epilogue : kEpilogues) {
      const Layer l{200, 131, 19, start, epilogue};  // more than a block of rows
      const Operands in(l);
      const GuardedMatrix other_a = normal_matrix(l.m, l.k, 77, 3, 1);
      for (const std::string& name : runnable_backends()) {
        const BackendScope scope(name);
        PackedMatrix made_here = packed(l, in);
        GuardedMatrix c(l.m, l.n, 4, 3);
        PackedGemm g = packed_gemm(l, in, c);
        PackedGemm strides = g;
        strides.m = 0;
        strides.a = strides.start = strides.h = nullptr;
        strides.c = nullptr;
        std::vector<PackedGemmPlan> plans;
        plans.reserve(blocks.size());
        for (const PackedBlock& block : blocks) plans.emplace_back(strides, made_here, block);
        CHECK(plans[2].columns().begin == 0);
        CHECK(plans[2].columns().end == std::min(plans[3].columns().begin, l.n));
        const PackedMatrix moved = std::move(made_here);
        for (std::size_t i = 0; i < blocks.size(); ++i) {
          const PackedGemmPlan copy = plans[i];
          for (const std::size_t m : {200u, 5u, 2u, 1u, 0u}) {
            for (const GuardedMatrix* a : {&in.a, &other_a}) {
              CAPTURE(name, static_cast<int>(start), static_cast<int>(epilogue), i, m);
              g.m = m;
              g.a = a->data();
              const std::vector<float> expected = left_by_product(g, moved, blocks[i], c);
              c.fill(std::vector<float>(expected.size(), std::nanf("")));
              copy.run(m, g.a, g.start, g.c, g.h);
              CHECK(same_bits(c.values(), expected));
              CHECK(c.guards_intact());
            }
          }
        }
      }
    }
  }
}

TEST_CASE("start_stride plays no part without start") {
  const PackedMatrix b(3, 8);
  const std::vector<float> a(3);
  std::vector<float> c(8);
  PackedGemm g;
  g.m = 1;
  g.a = a.data();
  g.lda = 3;
  g.start_stride = 5;
  g.c = c.data();
  g.ldc = 8;
  CHECK_NOTHROW(gemm_packed(g, b));
  g.start = c.data();
  CHECK_THROWS_AS(gemm_packed(g, b), std::invalid_argument);
}

TEST_CASE("a plan refuses strides when it is made and null operands when it is run") {
  const PackedMatrix b(3, 8);
  PackedGemm g;
  g.lda = 3;
  g.ldc = 8;
  g.ldh = 7;
  g.start_stride = 8;
  std::vector<float> floats(64);
  float* x = floats.data();
  CHECK_NOTHROW(PackedGemmPlan(g, b).run(1, x, nullptr, x + 32));
  CHECK_THROWS_AS(PackedGemmPlan(g, b).run(1, nullptr, nullptr, x), std::invalid_argument);
  CHECK_THROWS_AS(PackedGemmPlan(g, b).run(1, x, nullptr, nullptr), std::invalid_argument);
  CHECK_NOTHROW(PackedGemmPlan(g, b).run(0, nullptr, nullptr, nullptr));
  CHECK_NOTHROW(PackedGemmPlan(g, b, {.first_panel = 1}).run(1, nullptr, nullptr, nullptr));
  CHECK_NOTHROW(PackedGemmPlan(g, PackedMatrix()).run(1, nullptr, nullptr, nullptr));
  CHECK_THROWS_AS(PackedGemmPlan(g, b, {.first_panel = 2}), std::invalid_argument);
  CHECK_THROWS_AS(PackedGemmPlan(g, b, {.first_k = 2, .last_k = 1}), std::invalid_argument);
  g.epilogue = Epilogue::tanh_gradient;
  CHECK_THROWS_AS(PackedGemmPlan(g, b), std::invalid_argument);
  g.ldh = 8;
  CHECK_THROWS_AS(PackedGemmPlan(g, b).run(1, x, nullptr, x + 32), std::invalid_argument);
  g.start_stride = 7;
  CHECK_THROWS_AS(PackedGemmPlan(g, b), std::invalid_argument);
  g.start_stride = 0;
  g.ldc = 7;
  CHECK_THROWS_AS(PackedGemmPlan(g, b), std::invalid_argument);
  g.ldc = 8;
  g.lda = 2;
  CHECK_THROWS_AS(PackedGemmPlan(g, b), std::invalid_argument);
  CHECK_NOTHROW(PackedGemmPlan(g, b, {.last_k = 2}));
}

TEST_CASE("a product over no k needs no A, however many rows it has") {
  const std::vector<float> bias = normal_floats(8, 1);
  for (const std::string& name : runnable_backends()) {
    CAPTURE(name);
    const BackendScope scope(name);
    const PackedMatrix b(0, 8);
    std::vector<float> c(std::size_t{400} * 8);
    PackedGemm g;
    g.m = 400;
    g.lda = 5;
    g.start = bias.data();
    g.c = c.data();
    g.ldc = 8;
    gemm_packed(g, b);
    for (std::size_t i = 0; i < g.m; ++i) {
      REQUIRE(std::equal(bias.begin(), bias.end(), c.begin() + static_cast<std::ptrdiff_t>(8 * i)));
    }
  }
}

TEST_CASE("panels from a later to an earlier one are refused") {
  PackedMatrix b(3, 1000);
  const std::vector<float> x(3000);
  CHECK_THROWS_AS(b.pack_panels(Transpose::no, x.data(), 1000, 2, 1), std::invalid_argument);
  CHECK_NOTHROW(b.pack_panels(Transpose::no, x.data(), 1000, 1, 1));
}

TEST_CASE("a PackedMatrix stays with the backend of its making") {
  const Layer l{7, 83, 40, Start::bias, Epilogue::tanh};
  const Operands in(l);
  for (const std::string& maker : runnable_backends()) {
    BackendScope scope(maker);
    const PackedMatrix b = packed(l, in);
    const std::vector<float> expected = product(l, in).values();
    for (const std::string& other : runnable_backends()) {
      CAPTURE(maker, other);
      set_backend(other);
      GuardedMatrix c(l.m, l.n);
      gemm_packed(packed_gemm(l, in, c), b);
      CHECK(last_backend() == maker);
      CHECK(same_bits(c.values(), expected));
    }
  }
}

TEST_CASE("an empty PackedMatrix has no panels") {
  const PackedMatrix empty;
  CHECK(empty.panels() == 0);
  CHECK(empty.bytes() == 0);
  CHECK_NOTHROW(gemm_packed(PackedGemm{}, empty));
  CHECK(PackedMatrix(3, 5).bytes() >= 3 * 5 * sizeof(float));
}

TEST_CASE("packed products name what does not fit") {
  float x[64] = {};
  PackedMatrix b(4, 3);
  CHECK_THROWS_WITH(b.pack(Transpose::no, x, 2), ContainsSubstring("ldb"));
  CHECK_THROWS_WITH(b.pack(Transpose::yes, x, 3), ContainsSubstring("ldb"));
  CHECK_THROWS_WITH(b.pack_panels(Transpose::no, x, 3, 0, 2), ContainsSubstring("panels"));
  CHECK_THROWS_WITH(b.pack(Transpose::no, nullptr, 3), ContainsSubstring("B is null"));
  b.pack(Transpose::no, x, 3);
  PackedGemm g;
  g.m = 2;
  g.a = x;
  g.lda = 4;
  g.c = x + 32;
  g.ldc = 3;
  CHECK_NOTHROW(gemm_packed(g, b));
  CHECK_THROWS_WITH(gemm_packed(g, b, {.last_panel = 2}), ContainsSubstring("panels"));
  CHECK_NOTHROW(gemm_packed(g, b, {.first_panel = 1}));
  CHECK_THROWS_WITH(gemm_packed(g, b, {.first_panel = 2}), ContainsSubstring("panels"));
  CHECK_THROWS_WITH(gemm_packed(g, b, {.last_k = 5}), ContainsSubstring("rows"));
  CHECK_THROWS_WITH(gemm_packed(g, b, {.first_k = 3, .last_k = 2}), ContainsSubstring("rows"));
  CHECK_THROWS_WITH(gemm_packed(g, b, {.first_k = 5}), ContainsSubstring("rows"));
  CHECK_NOTHROW(gemm_packed(g, b, {.first_k = 3}));
  g.ldc = 2;
  CHECK_THROWS_AS(gemm_packed(g, b), std::invalid_argument);
  g.ldc = 3;
  g.lda = 3;
  CHECK_THROWS_WITH(gemm_packed(g, b), ContainsSubstring("row stride"));
  g.lda = 4;
  g.start = x;
  g.start_stride = 1;
  CHECK_THROWS_WITH(gemm_packed(g, b), ContainsSubstring("start_stride"));
  g.start_stride = 3;
  CHECK_NOTHROW(gemm_packed(g, b));
  g.epilogue = Epilogue::tanh_gradient;
  CHECK_THROWS_WITH(gemm_packed(g, b), ContainsSubstring("ldh"));
  g.ldh = 3;
  CHECK_THROWS_WITH(gemm_packed(g, b), ContainsSubstring("h is null"));
  g.h = x;
  CHECK_NOTHROW(gemm_packed(g, b));
}

TEST_CASE("gemm_accumulate_transposed rejects short rows and null, and does nothing for none") {
  float x[64] = {};
  const auto call = [&](std::size_t lda, std::size_t ldb, std::size_t ldc, std::size_t k,
                        std::size_t last_row) {
    gemm_accumulate_transposed(3, k, x, lda, x, ldb, x + 32, ldc, 0, last_row);
  };
  CHECK_THROWS_AS(call(1, 3, 3, 1, 2), std::invalid_argument);
  CHECK_THROWS_AS(call(2, 2, 3, 1, 2), std::invalid_argument);
  CHECK_THROWS_AS(call(2, 3, 2, 1, 2), std::invalid_argument);
  CHECK_NOTHROW(call(0, 0, 0, 0, 2));
  CHECK_NOTHROW(call(0, 0, 0, 1, 0));
  const auto null = [&](const float* a, const float* b, float* c) {
    gemm_accumulate_transposed(3, 4, a, 2, b, 3, c, 3, 0, 2);
  };
  CHECK_NOTHROW(null(x, x, x + 32));
  CHECK_THROWS_WITH(null(nullptr, x, x + 32), ContainsSubstring("a matrix is null"));
  CHECK_THROWS_WITH(null(x, nullptr, x + 32), ContainsSubstring("a matrix is null"));
  CHECK_THROWS_WITH(null(x, x, nullptr), ContainsSubstring("a matrix is null"));
}

// Where the second-level cache is small, or the last one far, both operands are copied here.
TEST_CASE("without memory for copies gemm_accumulate_transposed gives the same bits",
          "[optional]") {
  if (!allocation_count()) LOCKSTEP_SKIP("sanitizers have an operator new of their own");
  constexpr std::size_t kRows = 300, kColumns = 512, kDepth = 300, kStride = 1024;
  const std::vector<float> a = normal_floats(kDepth * kStride, 1);
  const std::vector<float> b = normal_floats(kDepth * kColumns, 2);
  const auto accumulate = [&](std::vector<float>& sum) {
    gemm_accumulate_transposed(kColumns, kDepth, a.data(), kStride, b.data(), kColumns, sum.data(),
                               kColumns, 0, kRows);
  };
  for (const BackendInfo& info : runnable_infos()) {
    if (!info.fused) continue;  // its sums depend on the blocks
    const std::string name(info.name);
    const BackendScope scope(name);
    const std::vector<float> start(kRows * kColumns, 0.25f);
    std::vector<float> expected = start;
    accumulate(expected);
    for (std::ptrdiff_t allocations = 0; allocations < 5; ++allocations) {
      CAPTURE(name, allocations);
      std::vector<float> c = start;
      bool has_thrown = false;
      std::thread([&] {  // which has no copies yet
        const NoMemory no_memory(allocations);
        try {
          accumulate(c);
        } catch (const std::bad_alloc&) {
          has_thrown = true;
        }
      })
          .join();
      CHECK_FALSE(has_thrown);
      CHECK(same_bits(c, expected));
    }
  }
}

TEST_CASE("transpose moves every element, and nothing else is written") {
  for (const auto& [rows, cols] : std::vector<std::array<std::size_t, 2>>{
           {1, 1}, {1, 9}, {9, 1}, {3, 5}, {4, 4}, {16, 16}, {17, 19}, {40, 33}, {130, 70}}) {
    CAPTURE(rows, cols);
    const GuardedMatrix a = normal_matrix(rows, cols, 1, 3, 1);
    GuardedMatrix t(cols, rows, 2, 5);
    transpose(rows, cols, a.data(), a.stride(), t.data(), t.stride());
    CHECK(t.guards_intact());
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t j = 0; j < cols; ++j) wrong += a.at(i, j) != t.at(j, i) ? 1 : 0;
    }
    CHECK(wrong == 0);
  }
  float x[8] = {};
  CHECK_NOTHROW(transpose(0, 3, nullptr, 0, nullptr, 0));
  CHECK_NOTHROW(transpose(3, 0, nullptr, 0, nullptr, 0));
  CHECK_THROWS_WITH(transpose(2, 2, x, 1, x + 4, 2), ContainsSubstring("row stride"));
  CHECK_THROWS_WITH(transpose(2, 2, x, 2, x + 4, 1), ContainsSubstring("row stride"));
  CHECK_THROWS_WITH(transpose(2, 2, nullptr, 2, x + 4, 2), ContainsSubstring("null"));
  CHECK_THROWS_WITH(transpose(2, 2, x, 2, nullptr, 2), ContainsSubstring("null"));
}

// The kernel goes by blocks of 192 rows.
TEST_CASE("many rows have the bits of few, with every start and epilogue") {
  for (const Start start : kStarts) {
    const Layer l{401, 70, 33, start, Epilogue::tanh_gradient};
    const Operands in(l);
    const std::vector<float> whole = product(l, in).values();
    for (const std::size_t row : {0u, 191u, 192u, 400u}) {
      GuardedMatrix c(l.m, l.n, 4, 3);
      PackedGemm g = packed_gemm(l, in, c);
      g.m = 1;
      g.a += row * g.lda;
      if (g.start != nullptr) g.start += row * g.start_stride;
      g.h += row * g.ldh;
      g.c += row * g.ldc;
      gemm_packed(g, packed(l, in));
      const std::vector<float> found = c.values();
      const auto offset = static_cast<std::ptrdiff_t>(row * l.n);
      CHECK(std::equal(found.begin() + offset,
                       found.begin() + offset + static_cast<std::ptrdiff_t>(l.n),
                       whole.begin() + offset));
    }
  }
}

}  // namespace
}  // namespace lockstep
