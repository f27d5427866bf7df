// What the caches decide of the blocks of a product. No number of it shows in a result.
#pragma once

#include <algorithm>
#include <cstddef>

#include "microkernels.h"
#include "system/caches.h"

namespace lockstep {

struct Blocking {
  // Up to this size, at least kResidentBytes, B is read in place and in a single block.
  std::size_t resident_bytes;
  // Beyond this size, no smaller, what is read of B in place is prefetched.
  std::size_t near_bytes;
  // A larger B is read in place by up to this number of rows of A per column of a panel, or half of
  // them where panels are narrow and the rows of a block of k span more than kFarBytes.
  std::size_t rows_in_place_per_column;
  // Rows of A per block, where A is read in place, and more rows than one block read a copy of B or
  // a B that stays in the caches of the core.
  std::size_t row_block;
  // Columns of B that are copied together, where its rows are used more than once.
  std::size_t columns_of_row_blocks;
  // Steps of k per block of a larger B in place, of rows that are a multiple of a page apart.
  std::size_t rows_per_page_offset;
  // Rows of B that are prefetched before their turn to be copied.
  std::size_t packed_rows_ahead;
  // Do narrow panels wait for lines that are not in the first-level cache?
  bool small_l2;
  // Is B copied for many rows of A where its own begin on no line?
  bool aligns_b;
  // Are the factors of a weight gradient copied by the rules of other products, even if panels are
  // wide?
  bool copies_factors;
  // Are pages of A and C touched a tile before their turn?
  bool touches_pages;
  // Do tiles of a single vector per row need more rows, to keep two units for long vectors busy?
  bool high_tiles;
};

// With the last cache at hand what leaves the second one costs little, so that larger blocks pay.
constexpr Blocking blocking_of(const Caches& caches) {
  if (!caches.far_l3) {
    return {.resident_bytes = kResidentBytes,
            .near_bytes = kResidentBytes,
            .rows_in_place_per_column = kRowsInPlacePerColumn,
            .row_block = kRowBlock,
            .columns_of_row_blocks = kColumnsOfRowBlocks,
            .rows_per_page_offset = kDepthBlock,
            .packed_rows_ahead = kPackedRowsAhead,
            .small_l2 = caches.l2_bytes < kLargeL2,
            .aligns_b = false,
            .copies_factors = false,
            .touches_pages = false,
            .high_tiles = false};
  }
  return {.resident_bytes = std::max(kResidentBytes, caches.l2_bytes / kResidentParts),
          .near_bytes = std::max(kResidentBytes, caches.l2_bytes / kNearParts),
          .rows_in_place_per_column = kRowsInPlaceWhereFar,
          .row_block = kRowBlockWhereFar,
          .columns_of_row_blocks = std::max(
              kColumnsTogether, caches.l2_bytes / kCopiedParts / (kDepthBlock * sizeof(float))),
          .rows_per_page_offset = caches.l2_bytes / kPageBytes / kAliasingParts,
          .packed_rows_ahead = kPackedRowsAheadWhereFar,
          .small_l2 = caches.l2_bytes < kLargeL2,
          .aligns_b = true,
          .copies_factors = true,
          .touches_pages = true,
          .high_tiles = true};
}

// Offsets in their pages at which rows of ldb floats begin. Lines of the same offset take the same
// set of a first-level cache, and of a second-level cache one of a few.
constexpr std::size_t page_offsets(std::size_t ldb) {
  const std::size_t bytes = ldb * sizeof(float);
  const std::size_t distance = std::min(bytes & (~bytes + 1), kPageBytes);  // a power of two
  return distance == 0 ? 1 : kPageBytes / distance;
}

// A second-level cache has one line of an offset per page of its size.
constexpr std::size_t depth_in_place(const Blocking& blocking, std::size_t ldb) {
  return std::clamp(blocking.rows_per_page_offset * page_offsets(ldb), kFewestRowsInPlace,
                    kDepthBlock);
}

// For this machine.
inline const Blocking& blocking() {
  static const Blocking kBlocking = blocking_of(caches());
  return kBlocking;
}

}  // namespace lockstep
