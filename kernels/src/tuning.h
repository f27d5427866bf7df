// What makes speed. No number here shows in a result: the second value of each is another legal
// one, with which odd_tuning_test finds the same bits. Each has a row in docs/measurements.md.
#pragma once

#include <cstddef>

#include "lockstep/detail/tuned.h"

namespace lockstep {

inline constexpr std::size_t kKiB = 1024;

// Register tiles: their rows, and their vectors per row (the width of a panel).
inline constexpr std::size_t kTileRows = tuned(6, 5);
inline constexpr std::size_t kPanelVectorsOf32Registers = tuned(4, 3);
inline constexpr std::size_t kPanelVectorsOf16Registers = tuned(2, 1);
inline constexpr std::size_t kReferencePanel = tuned(16, 7);  // columns
// Tiles of a single vector per row may be this many times as high.
inline constexpr std::size_t kHighTile = tuned(2, 1);
// Multiply-adds that a core has in flight; tiles of one or two rows are widened to have as many.
inline constexpr std::size_t kChainsInFlight = tuned(8, 5);
// Rows of B that one pass over a row of C takes in the product of one row.
inline constexpr std::size_t kGemvRows = tuned(8, 5);
inline constexpr std::size_t kGemvFewRows = tuned(4, 2);

// Caches.
inline constexpr std::size_t kFloatsPerLine = tuned(16, 8);
// Steps of k per block; fewer where A is transposed and read in place.
inline constexpr std::size_t kDepthBlock = tuned(512, 96);
inline constexpr std::size_t kJumpingDepth = tuned(192, 40);
// Rows of A per block.
inline constexpr std::size_t kRowBlock = tuned(32, 3) * kTileRows;
// Columns of B that are copied together where its rows are used once.
inline constexpr std::size_t kColumnsTogether = tuned(64, 16);
inline constexpr std::size_t kFarBytes = tuned(1024, 16) * kKiB;
// Blocks where the last cache is near (gemm/blocking.h).
inline constexpr std::size_t kResidentBytes = tuned(256, 8) * kKiB;
inline constexpr std::size_t kRowsInPlacePerColumn = tuned(8, 1);
inline constexpr std::size_t kColumnsOfRowBlocks = tuned(1024, 48);
// And where it is far, as parts of the second-level cache.
inline constexpr std::size_t kResidentParts = tuned(4, 200);
inline constexpr std::size_t kNearParts = tuned(2, 300);
inline constexpr std::size_t kCopiedParts = tuned(2, 15);
inline constexpr std::size_t kAliasingParts = tuned(3, 20);
inline constexpr std::size_t kRowsInPlaceWhereFar = tuned(4, 1);
inline constexpr std::size_t kRowsForAlignedCopy = tuned(48, 4) * kTileRows;
inline constexpr std::size_t kRowBlockWhereFar = tuned(16, 2) * kTileRows;
inline constexpr std::size_t kPackedRowsAheadWhereFar = tuned(0, 2);
inline constexpr std::size_t kFewestRowsInPlace = tuned(128, 24);
inline constexpr std::size_t kPageBytes = 4 * kKiB;
// Narrow panels, of a line per row, where the second-level cache is smaller than kLargeL2: steps of
// k where A is transposed and in place, rows of A per block, lines with the same offset in their
// pages that one operand may have in the first-level cache, and tiles of rows per such offset
// beyond which B is copied where it has more lines.
inline constexpr std::size_t kLargeL2 = tuned(1024, 2048) * kKiB;
inline constexpr std::size_t kJumpingDepthOfNarrow = tuned(96, 24);
inline constexpr std::size_t kRowBlockOfNarrow = tuned(10, 2) * kTileRows;
inline constexpr std::size_t kLinesOfPageOffset = tuned(4, 2);
inline constexpr std::size_t kTilesPerPageOffset = tuned(2, 1);
// And of rows times packed panels, the size of a block of A.
inline constexpr std::size_t kResidentRows = tuned(256, 2) * kKiB;
// From as many columns on, those before the first line in B's rows are multiplied on their own.
inline constexpr std::size_t kColumnsForAlignment = tuned(512, 40);
// A, transposed, is copied from this span of a block of k and this number of columns of B on.
inline constexpr std::size_t kScatteredBytes = tuned(1024, 16) * kKiB;
inline constexpr std::size_t kColumnsForCopyOfA = tuned(64, 20);
// One row times a larger B is computed along the rows of B, this number of columns at a time.
inline constexpr std::size_t kGemvBytes = tuned(32, 2) * kKiB;
inline constexpr std::size_t kGemvColumns = tuned(4096, 40);

// Steps of k that the largest tiles take without counting, with one vector of C prefetched.
inline constexpr std::size_t kStepsTogether = tuned(8, 3);

// Prefetching: the fewest rows of a tile that prefetches, how many rows of B ahead a tile
// prefetches its own and from which distance of them on (a page, which hardware prefetchers do not
// cross), the size from which the next tile's part of C is prefetched, and the size of panels from
// which the next panel is.
inline constexpr std::size_t kFewestFetchingRows = tuned(3, 2);
inline constexpr std::ptrdiff_t kRowsAhead = tuned(4, 1);
inline constexpr std::size_t kFarRow = tuned(4096, 64);
inline constexpr std::size_t kFetchedBytesOfC = tuned(256, 1) * kKiB;
inline constexpr std::size_t kNearBytes = tuned(1024, 16) * kKiB;

// Packing: columns read of each row before the next row; rows prefetched ahead, of a larger matrix;
// columns transposed together, a multiple of 4.
inline constexpr std::size_t kPackedColumns = tuned(64, 24);
inline constexpr std::size_t kPackedRowsAhead = tuned(16, 3);
inline constexpr std::size_t kPackedResidentBytes = tuned(256, 4) * kKiB;
inline constexpr std::size_t kTransposedColumns = tuned(16, 8);

// Elementwise functions and softmax: vectors side by side, virtual vectors of a row that stay in
// registers (per 16 lanes), rows and floats of a group, rows whose logarithms overlap.
inline constexpr std::size_t kInterleavedVectors = tuned(4, 3);
inline constexpr std::size_t kHeldVectors = tuned(8, 4);
inline constexpr std::size_t kSoftmaxGroup = tuned(16, 5);
inline constexpr std::size_t kSoftmaxGroupSize = tuned(2048, 300);
inline constexpr std::size_t kLogSoftmaxRows = tuned(16, 3);
inline constexpr std::size_t kCrossEntropyRows = tuned(32, 7);

// Gates of recurrent cells and their mirrors: vectors of units side by side.
inline constexpr std::size_t kGateVectors = tuned(4, 3);
inline constexpr std::size_t kGateVectorsBack = tuned(2, 1);

// Threads: multiply-adds that pay for one more, by how much shares of panels may exceed shares of
// rows, rows per column from which rows are shared, and polls before a barrier and before an idle
// worker sleeps.
inline constexpr double kProductWorkPerThread = tuned(500e3, 5e3);
inline constexpr double kUnevenShares = tuned(1.1, 3.0);
inline constexpr std::size_t kTallRows = tuned(4, 1);
inline constexpr int kBarrierPolls = tuned(1000, 3);
inline constexpr int kWorkerPolls = tuned(4000, 2);

}  // namespace lockstep
