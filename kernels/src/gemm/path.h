// How a product is computed: a pure function of its shape, the backend and the caches. No choice
// shows in a result.
#pragma once

#include <algorithm>
#include <cstddef>

#include "gemm/blocking.h"
#include "lockstep/detail/useful_threads.h"
#include "lockstep/gemm.h"
#include "microkernels.h"

namespace lockstep {

// A product as it is asked for; its operands come with each run.
struct Product {
  Transpose transpose_a = Transpose::no;
  Transpose transpose_b = Transpose::no;
  std::size_t m = 0;
  std::size_t n = 0;
  std::size_t k = 0;
  float alpha = 1;
  std::size_t lda = 0;
  std::size_t ldb = 0;
  float beta = 0;
  std::size_t ldc = 0;
  bool b_is_padded = false;  // rows of B are readable for whole vectors
};

// What the choice depends on of a backend and of the machine.
struct Traits {
  std::size_t lanes;
  std::size_t panel;
  bool exact_b;
  const Blocking& (*blocking)();  // not called for small products
};

inline Traits traits_of(const Backend& b) {
  return {.lanes = b.lanes, .panel = b.panel, .exact_b = b.exact_b, .blocking = blocking};
}

enum class Path {
  nothing,  // C is empty
  scaled,   // neither A nor B is read
  whole,    // one strip per panel: nothing is shared, cut, copied or prefetched
  row,      // along the rows of B
  blocked,  // in blocks of rows, columns and k, by one thread or several
};

struct Choice {
  Path path = Path::nothing;
  int threads = 1;
  bool shares_panels = false;  // threads share the panels of C, otherwise its rows
  bool copies_a = false;       // A is transposed into rows of its own, block by block
  bool copies_b = false;       // B is copied into panels, block by block
  bool prefetches_b = false;
  std::size_t depth = 0;            // steps of k per block
  std::size_t row_block = 0;        // rows of A per block
  bool touches_pages = false;       // of A and C a tile ahead, in the first panel over a block of A
  std::size_t panels_together = 0;  // panels that are copied or passed over at a time

  bool operator==(const Choice&) const = default;
};

constexpr std::size_t divide_up(std::size_t n, std::size_t parts) {
  if (n <= parts) return n != 0 ? 1 : 0;  // spares a division where it would show
  return n / parts + (n % parts != 0 ? 1 : 0);
}

constexpr std::size_t bytes_of_b(const Product& p) { return p.k * p.ldb * sizeof(float); }

// Does B stay in the caches of the core?
constexpr bool is_resident(const Product& p, const Traits& traits) {
  return bytes_of_b(p) <= kResidentBytes || bytes_of_b(p) <= traits.blocking().resident_bytes;
}

// Is each row of a panel in one line?
constexpr bool is_narrow(const Traits& traits) { return traits.panel <= kFloatsPerLine; }

// Do its tiles wait for lines that are not in the first-level cache?
constexpr bool waits_for_lines(const Traits& traits) {
  return is_narrow(traits) && traits.blocking().small_l2;
}

// Do the lines of k rows, one of each, drive each other out of the first-level cache?
constexpr bool collide(std::size_t k, std::size_t row_stride) {
  return std::min(k, kDepthBlock) > kLinesOfPageOffset * page_offsets(row_stride);
}

// Is B copied into panels for this number of rows of A?
constexpr bool copies_b(const Product& p, const Traits& traits, std::size_t rows) {
  if (p.transpose_b == Transpose::yes || p.alpha != 1.0f) return true;
  if (!traits.exact_b && !p.b_is_padded && p.n % traits.lanes != 0) return true;
  if (collide(p.k, p.ldb) && rows > kTilesPerPageOffset * kTileRows * page_offsets(p.ldb) &&
      waits_for_lines(traits))
    return true;
  // Rows that begin on no line cost two lines per vector.
  if (rows >= kRowsForAlignedCopy && p.n >= traits.panel && p.ldb % kFloatsPerLine != 0 &&
      traits.blocking().aligns_b)
    return true;
  if (is_resident(p, traits)) return false;
  // Rows that are a page or more apart, read a single line at a time, are slower in place.
  const bool are_far =
      is_narrow(traits) && std::min(p.k, kDepthBlock) * p.ldb * sizeof(float) > kFarBytes;
  return rows > traits.blocking().rows_in_place_per_column * traits.panel / (are_far ? 2 : 1);
}

// Is a transposed A copied into rows of its own? In place its columns come from as many pages as a
// block of k has steps; for few columns of B the copy costs more.
constexpr bool copies_a(const Product& p, const Traits& traits) {
  return p.transpose_a == Transpose::yes && p.n >= kColumnsForCopyOfA &&
         (std::min(p.k, kDepthBlock) * p.lda * sizeof(float) >= kScatteredBytes ||
          (collide(std::min(p.k, kJumpingDepthOfNarrow), p.lda) && waits_for_lines(traits)));
}

// Is it a row times a matrix that is bound by reading it, and so is read in its own order?
constexpr bool is_row(const Product& p, const Traits& traits) {
  return p.m == 1 && p.transpose_b == Transpose::no && p.alpha == 1.0f && traits.exact_b &&
         bytes_of_b(p) > kGemvBytes;
}

constexpr bool fits_one_block(const Product& p, const Traits& traits) {
  return p.m <= kRowBlock && p.k <= kDepthBlock && is_resident(p, traits);
}

// The most steps of k of a block.
constexpr std::size_t most_steps(const Product& p, const Traits& traits, const Choice& c) {
  if (p.transpose_a == Transpose::yes && !c.copies_a)
    return waits_for_lines(traits) ? kJumpingDepthOfNarrow : kJumpingDepth;
  if (c.copies_b || is_resident(p, traits)) return kDepthBlock;
  return depth_in_place(traits.blocking(), p.ldb);
}

// In blocks, `rows` of them on each thread.
constexpr Choice in_blocks(const Product& p, const Traits& traits, std::size_t rows,
                           bool may_copy = true) {
  Choice c{.path = Path::blocked};
  c.copies_a = may_copy && copies_a(p, traits);
  c.copies_b = may_copy && copies_b(p, traits, rows);
  c.prefetches_b =
      !c.copies_b && bytes_of_b(p) > kResidentBytes && bytes_of_b(p) > traits.blocking().near_bytes;
  c.depth = even_part(p.k, most_steps(p, traits, c));
  const bool reads_b_once = rows <= kRowBlock && !c.copies_a;
  const bool plain_a = p.transpose_a == Transpose::no;
  const bool reuses_copy = c.copies_b && !reads_b_once && plain_a;
  const bool b_is_near = !c.copies_b && !reads_b_once && is_resident(p, traits) && plain_a;
  c.row_block = waits_for_lines(traits)    ? kRowBlockOfNarrow
                : reuses_copy || b_is_near ? traits.blocking().row_block
                                           : kRowBlock;
  c.touches_pages = reuses_copy && traits.blocking().touches_pages;
  const std::size_t columns =
      reads_b_once ? kColumnsTogether : traits.blocking().columns_of_row_blocks;
  c.panels_together = std::max<std::size_t>(1, columns / traits.panel);
  return c;
}

// The largest share of a thread, as a part of the whole.
constexpr double largest_share(std::size_t count, std::size_t threads) {
  return static_cast<double>(divide_up(count, threads)) / static_cast<double>(count);
}

// By panels, each is copied and read by one thread only. By rows where there are too few panels,
// where shares of panels are so uneven that the difference pays for reading all of B on each
// thread, and where A, which each thread would read, is far larger than a B in place. Every thread
// then has rows for two tiles.
constexpr bool shares_panels(const Product& p, const Traits& traits, std::size_t panels,
                             std::size_t threads) {
  if (panels < threads) return false;
  if (p.m < 2 * kTileRows * threads) return true;
  if (p.m >= kTallRows * p.n && !copies_b(p, traits, divide_up(p.m, threads))) return false;
  return largest_share(panels, threads) <= kUnevenShares * largest_share(p.m, threads);
}

constexpr Choice choose(const Product& p, const Traits& traits, int threads) {
  if (p.m == 0 || p.n == 0) return {.path = Path::nothing};
  if (p.k == 0 || p.alpha == 0.0f) return {.path = Path::scaled};
  if (threads > 1) {
    const std::size_t panels = divide_up(p.n, traits.panel);
    const double work = static_cast<double>(p.m) * static_cast<double>(p.n);
    threads = useful_threads(work * static_cast<double>(p.k), kProductWorkPerThread,
                             std::max(panels, divide_up(p.m, kTileRows)), threads);
    if (threads > 1) {
      const auto team = static_cast<std::size_t>(threads);
      const bool by_panels = shares_panels(p, traits, panels, team);
      Choice c = is_row(p, traits) ? Choice{.path = Path::row}
                                   : in_blocks(p, traits, by_panels ? p.m : divide_up(p.m, team));
      c.threads = threads;
      c.shares_panels = by_panels;
      return c;
    }
  }
  if (is_row(p, traits)) return {.path = Path::row};
  if (fits_one_block(p, traits) && !copies_a(p, traits) && !copies_b(p, traits, p.m))
    return {.path = Path::whole};
  return in_blocks(p, traits, p.m);
}

}  // namespace lockstep
