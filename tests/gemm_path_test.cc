// Which path a product takes, as a table.
#include "catch.h"
#include "gemm/path.h"
#include "lockstep/error.h"

namespace lockstep {
namespace {

constexpr std::size_t kMiB = 1024 * kKiB;
constexpr Blocking kNear = blocking_of({.l2_bytes = kMiB, .far_l3 = false});
constexpr Blocking kFar = blocking_of({.l2_bytes = 2 * kMiB, .far_l3 = true});
constexpr Blocking kSmallL2 = blocking_of({.l2_bytes = kMiB / 2, .far_l3 = false});
constexpr const Blocking& near_l3() { return kNear; }
constexpr const Blocking& small_l2() { return kSmallL2; }
constexpr const Blocking& far_l3() { return kFar; }
constexpr Traits kAvx512{.lanes = 16, .panel = 64, .exact_b = true, .blocking = near_l3};
constexpr Traits kXeon{.lanes = 16, .panel = 64, .exact_b = true, .blocking = far_l3};
constexpr Traits kAvx2{.lanes = 8, .panel = 16, .exact_b = true, .blocking = near_l3};
constexpr Traits kZen3{.lanes = 8, .panel = 16, .exact_b = true, .blocking = small_l2};
constexpr Traits kWideSmall{.lanes = 16, .panel = 64, .exact_b = true, .blocking = small_l2};
constexpr Traits kSse{.lanes = 4, .panel = 8, .exact_b = false, .blocking = near_l3};

constexpr Product product(std::size_t m, std::size_t n, std::size_t k,
                          Transpose transpose_a = Transpose::no,
                          Transpose transpose_b = Transpose::no) {
  return {.transpose_a = transpose_a,
          .transpose_b = transpose_b,
          .m = m,
          .n = n,
          .k = k,
          .lda = transpose_a == Transpose::no ? k : m,
          .ldb = transpose_b == Transpose::no ? n : k,
          .ldc = n};
}

constexpr Product with_factors(Product p, float alpha, float beta) {
  p.alpha = alpha;
  p.beta = beta;
  return p;
}

#if !LOCKSTEP_ODD_TUNING  // whose thresholds are others

constexpr auto kNo = Transpose::no;
constexpr auto kYes = Transpose::yes;

// What is copied, prefetched and cut, in blocks by one thread.
constexpr Choice blocks(bool copies_a, bool copies_b, bool prefetches_b, std::size_t depth,
                        std::size_t panels_together, std::size_t row_block = kRowBlock) {
  return {.path = Path::blocked,
          .copies_a = copies_a,
          .copies_b = copies_b,
          .prefetches_b = prefetches_b,
          .depth = depth,
          .row_block = row_block,
          .panels_together = panels_together};
}

constexpr Choice shared(int threads, bool shares_panels, Choice choice) {
  choice.threads = threads;
  choice.shares_panels = shares_panels;
  return choice;
}

constexpr Choice touching(Choice choice) {
  choice.touches_pages = true;
  return choice;
}

struct Row {
  const char* why;
  Product product;
  Traits traits;
  int threads;
  Choice choice;
};

constexpr Row kTable[] = {
    {"no rows", product(0, 5, 3), kAvx512, 1, {.path = Path::nothing}},
    {"no columns", product(5, 0, 3), kAvx512, 2, {.path = Path::nothing}},
    {"k = 0", product(5, 3, 0), kAvx512, 1, {.path = Path::scaled}},
    {"alpha = 0", with_factors(product(5, 3, 7), 0, 1), kAvx2, 2, {.path = Path::scaled}},
    {"small", product(7, 15, 17), kAvx512, 1, {.path = Path::whole}},
    {"small, too little for two threads", product(7, 15, 17), kAvx2, 2, {.path = Path::whole}},
    {"beta plays no part",
     with_factors(product(20, 50, 50), 1, 2),
     kAvx2,
     1,
     {.path = Path::whole}},
    {"A transposed, in place", product(20, 50, 50, kYes), kAvx2, 1, {.path = Path::whole}},
    {"B transposed", product(20, 50, 50, kNo, kYes), kAvx2, 1, blocks(false, true, false, 50, 4)},
    {"alpha", with_factors(product(20, 50, 50), 2, 0), kAvx512, 1,
     blocks(false, true, false, 50, 1)},
    {"no masks, whole vectors", product(20, 48, 50), kSse, 1, {.path = Path::whole}},
    {"no masks, a partial vector", product(20, 50, 50), kSse, 1, blocks(false, true, false, 50, 8)},
    {"a row in cache", product(1, 64, 64), kAvx512, 1, {.path = Path::whole}},
    {"a row", product(1, 256, 256), kAvx512, 1, {.path = Path::row}},
    {"a row, no masks", product(1, 256, 256), kSse, 1, {.path = Path::whole}},
    {"a row on two threads", product(1, 1024, 1024), kAvx2, 2,
     shared(2, true, {.path = Path::row})},
    {"more rows than a block", product(193, 64, 64), kAvx512, 1,
     blocks(false, false, false, 64, 16)},
    {"more steps than a block", product(20, 50, 513), kAvx512, 1,
     blocks(false, false, false, 257, 1)},
    {"B beyond the cache, few rows", product(64, 512, 512), kAvx2, 1,
     blocks(false, false, true, 512, 4)},
    {"B beyond the cache, many rows", product(600, 512, 512), kAvx512, 1,
     blocks(false, true, false, 512, 16)},
    {"rows of B far apart", product(100, 2048, 2048), kAvx2, 1, blocks(false, true, false, 512, 4)},
    {"the same, wide panels", product(100, 2048, 2048), kAvx512, 1,
     blocks(false, false, true, 512, 1)},
    {"A transposed, large", product(512, 512, 6400, kYes), kAvx512, 1,
     blocks(true, false, true, 493, 16)},
    {"A transposed, few columns", product(512, 48, 6400, kYes), kAvx512, 1,
     blocks(false, false, true, 189, 16)},
    {"shared by panels", product(64, 1024, 1024), kAvx512, 2,
     shared(2, true, blocks(false, false, true, 512, 1))},
    {"shared by rows: three panels", product(256, 192, 512), kAvx512, 2,
     shared(2, false, blocks(false, false, true, 512, 1))},
    {"shared by rows: A far larger than B", product(6400, 256, 64), kAvx512, 2,
     shared(2, false, blocks(false, false, false, 64, 16))},
    {"the same, but not four times", product(1000, 256, 64), kAvx512, 2,
     shared(2, true, blocks(false, false, false, 64, 16))},
    {"the same, but B is copied", product(4096, 1024, 1024), kAvx512, 2,
     shared(2, true, blocks(false, true, false, 512, 16))},
    {"far L3, B in cache, many rows", product(6400, 256, 64), kXeon, 1,
     blocks(false, false, false, 64, 8, kRowBlockWhereFar)},
    {"far L3, rows of B begin on no line", product(288, 300, 300), kXeon, 1,
     touching(blocks(false, true, false, 300, 8, kRowBlockWhereFar))},
    {"far L3, rows of B begin on no line, few rows", product(287, 300, 300), kXeon, 1,
     blocks(false, false, false, 300, 8, kRowBlockWhereFar)},
    {"far L3, a column", product(288, 1, 512), kXeon, 1,
     blocks(false, false, false, 512, 8, kRowBlockWhereFar)},
    {"far L3, B in cache, one block of rows", product(150, 64, 600), kXeon, 1,
     blocks(false, false, false, 300, 1)},
    {"far L3, B in a quarter of L2", product(64, 256, 512), kXeon, 1, {.path = Path::whole}},
    {"far L3, B in half of L2", product(64, 512, 512), kXeon, 1,
     blocks(false, false, false, 256, 1)},
    {"far L3, rows of B a page apart", product(64, 1024, 1024), kXeon, 1,
     blocks(false, false, true, 147, 1)},
    {"far L3, rows anywhere in their pages", product(64, 1040, 1024), kXeon, 1,
     blocks(false, false, true, 512, 1)},
    {"far L3, many rows", product(257, 1024, 1024), kXeon, 1,
     touching(blocks(false, true, false, 512, 8, kRowBlockWhereFar))},
    {"far L3, a copy of B for one block of rows", product(192, 1024, 1024, kNo, kYes), kXeon, 1,
     blocks(false, true, false, 512, 1)},
    {"far L3, a copy of B for two", product(193, 1024, 1024, kNo, kYes), kXeon, 1,
     touching(blocks(false, true, false, 512, 8, kRowBlockWhereFar))},
    {"far L3, copies of A and B", product(512, 512, 6400, kYes, kYes), kXeon, 1,
     blocks(true, true, false, 493, 8)},
    {"small L2, lines of B collide", product(64, 256, 256), kZen3, 1,
     blocks(false, true, false, 256, 4, kRowBlockOfNarrow)},
    {"small L2, too few rows for a copy", product(24, 512, 512), kZen3, 1,
     blocks(false, false, true, 512, 4, kRowBlockOfNarrow)},
    {"small L2, rows of B anywhere in their pages", product(64, 2000, 512), kZen3, 1,
     blocks(false, false, true, 512, 4, kRowBlockOfNarrow)},
    {"small L2, few steps", product(64, 256, 16), kZen3, 1, {.path = Path::whole}},
    {"small L2, lines of A collide", product(256, 256, 128, kYes), kZen3, 1,
     blocks(true, true, false, 128, 64, kRowBlockOfNarrow)},
    {"small L2, A transposed, in place", product(50, 50, 1200, kYes), kZen3, 1,
     blocks(false, false, false, 93, 4, kRowBlockOfNarrow)},
    {"small L2, wide panels", product(64, 256, 256), kWideSmall, 1, {.path = Path::whole}},
    {"three panels, too few rows", product(23, 192, 512), kAvx512, 2,
     shared(2, true, blocks(false, false, true, 512, 1))},
};

TEST_CASE("each product takes the path of its shape and backend") {
  for (const Row& row : kTable) {
    CAPTURE(row.why);
    const Choice found = choose(row.product, row.traits, row.threads);
    CHECK(found.path == row.choice.path);
    CHECK(found.threads == row.choice.threads);
    CHECK(found.shares_panels == row.choice.shares_panels);
    CHECK(found.copies_a == row.choice.copies_a);
    CHECK(found.copies_b == row.choice.copies_b);
    CHECK(found.prefetches_b == row.choice.prefetches_b);
    CHECK(found.depth == row.choice.depth);
    CHECK(found.panels_together == row.choice.panels_together);
    CHECK(found.row_block == row.choice.row_block);
    CHECK(found.touches_pages == row.choice.touches_pages);
  }
}

#endif

TEST_CASE("a choice is a constant of shape and backend") {
  static_assert(choose(product(0, 5, 3), kAvx512, 1).path == Path::nothing);
  STATIC_REQUIRE(kFar.copies_factors);
  STATIC_REQUIRE_FALSE(kNear.copies_factors);
  STATIC_REQUIRE(choose(with_factors(product(5, 3, 7), 0, 1), kSse, 1).path == Path::scaled);
}

TEST_CASE("blocks in place are as deep as the sets of a cache allow") {
  Blocking blocking = kFar;
  blocking.rows_per_page_offset = 100;
  constexpr std::size_t kPage = kPageBytes / sizeof(float);
  const auto within = [](std::size_t rows) {
    return std::clamp(rows, kFewestRowsInPlace, kDepthBlock);
  };
  for (const std::size_t odd : {1u, 3u, 5u}) {
    CHECK(depth_in_place(blocking, odd * 2 * kPage) == within(100));
    CHECK(depth_in_place(blocking, odd * kPage) == within(100));
    CHECK(depth_in_place(blocking, odd * kPage / 2) == within(200));
    CHECK(depth_in_place(blocking, odd * kPage / 4) == within(400));
    CHECK(depth_in_place(blocking, odd) == kDepthBlock);
  }
}

TEST_CASE("caches can be named") {
  const Caches preset{.l2_bytes = 3 * kMiB, .far_l3 = true};
  CHECK(parse_caches("", preset) == preset);
  CHECK(parse_caches("l2=2M", preset) == Caches{.l2_bytes = 2 * kMiB, .far_l3 = true});
  CHECK(parse_caches("l3=near,l2=512K", preset) == Caches{.l2_bytes = kMiB / 2, .far_l3 = false});
  CHECK(parse_caches("l2=65536,l3=far", preset) == Caches{.l2_bytes = 64 * kKiB, .far_l3 = true});
  for (const char* wrong : {"l2", "l2=", "l2=x", "l2=1", "l2=-1", "l2=63K", "l2=1G", "l2=1024M",
                            "l2=2MB", "l3=", "l3=slow", "l4=2M", ",", "l2=2M,", "l2=2M,,l3=far",
                            "l2=18446744073709551615K", " l2=2M"}) {
    CAPTURE(wrong);
    CHECK_THROWS_AS(parse_caches(wrong, preset), InvalidArgument);
  }
}

TEST_CASE("the caches of this machine are plausible") {
  CHECK(caches().l2_bytes >= 64 * kKiB);
  CHECK(caches().l2_bytes < 1024 * kMiB);
}

TEST_CASE("a padded B is copied for its lines alone, not for a partial vector") {
  constexpr Traits kSmallSse{.lanes = 4, .panel = 8, .exact_b = false, .blocking = small_l2};
  Product p = product(321, 50, 128, Transpose::yes);
  p.ldb = 52;
  CHECK(in_blocks(p, kSmallSse, p.m).copies_b);
  p.b_is_padded = true;
  CHECK_FALSE(in_blocks(p, kSmallSse, p.m).copies_b);
  p.ldb = 256;  // lines that collide
  CHECK(in_blocks(p, kSmallSse, p.m).copies_b);
}

TEST_CASE("what is not copied is read as it is, and blocks of k are of nearly equal depth") {
  for (const Traits& traits : {kAvx512, kAvx2, kSse}) {
    for (const std::size_t k : {1u, 511u, 512u, 513u, 1025u, 6400u}) {
      const Product p = product(64, 96, k, Transpose::yes);
      const Choice c = in_blocks(p, traits, p.m, /*may_copy=*/false);
      CAPTURE(traits.lanes, k);
      CHECK_FALSE(c.copies_a);
      CHECK_FALSE(c.copies_b);
      CHECK(c.depth <= kJumpingDepth);
      CHECK(divide_up(k, c.depth) == divide_up(k, kJumpingDepth));
    }
  }
}

}  // namespace
}  // namespace lockstep
