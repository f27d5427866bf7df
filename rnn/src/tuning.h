// What makes speed. No number here shows in a result: the second value of each is another legal
// one, with which the same bits must come out. Each has a row in docs/measurements.md.
#pragma once

#include <cstddef>

#include "lockstep/detail/tuned.h"

namespace lockstep {

// Multiply-adds that pay for one more thread.
inline constexpr double kWorkPerThread = tuned(400e3, 1e3);
// Rows that a thread needs to make good use of the register tiles.
inline constexpr std::size_t kUsefulRows = tuned<std::size_t>(8, 3);

// Leaves of large weights per thread, from which on an uneven share of them is still fast.
inline constexpr std::size_t kLeavesPerThread = tuned<std::size_t>(4, 1);

// Beyond this size of the weights the factors of their gradient are packed.
inline constexpr std::size_t kPackedFactors = tuned<std::size_t>(512, 8) * 1024;

// Prediction: sequences taken together where the weights stay in a core's cache, and where they do
// not, beyond kResidentWeights bytes; there all threads share the columns of every product.
inline constexpr std::size_t kResidentWeights = tuned<std::size_t>(512, 8) * 1024;
inline constexpr std::size_t kMostRows = tuned<std::size_t>(32, 5);
inline constexpr std::size_t kMostRowsOfLargeWeights = tuned<std::size_t>(128, 7);
// Where all timesteps are kept for the layer above, as many sequences as about this size holds.
inline constexpr std::size_t kWindowBytes = tuned<std::size_t>(32768, 8) * 1024;

// From this size of the weights and this number of features on, fewer than kEnoughRows rows read
// the input weights for several timesteps at once, up to kRowsTogether rows.
inline constexpr std::size_t kLargeWeights = tuned<std::size_t>(16384, 4) * 1024;
inline constexpr std::size_t kFewestFeatures = tuned<std::size_t>(128, 2);
inline constexpr std::size_t kEnoughRows = tuned<std::size_t>(64, 40);
inline constexpr std::size_t kRowsTogether = tuned<std::size_t>(128, 90);

// Rows of a block of timesteps that a layer of a stack takes before the next layer has its turn,
// where not all timesteps are kept.
inline constexpr std::size_t kRowsOfBlock = tuned<std::size_t>(128, 3);

// Size from which on a data set in a file is asked for a minibatch ahead.
inline constexpr std::size_t kPrefetchedBytesOfData = tuned<std::size_t>(32768, 0) * 1024;
// How far ahead where it is read in turn.
inline constexpr std::size_t kBytesReadAhead = tuned<std::size_t>(4096, 1) * 1024;

// Weights that are updated and then averaged while they are in cache.
inline constexpr std::size_t kUpdatedTogether = tuned<std::size_t>(4096, 13);

// Several ranks: gradients from this number on are exchanged while the layers below are computed.
inline constexpr std::size_t kFloatsOfSection = tuned<std::size_t>(64, 0) * 1024;
// Multiply-adds of those layers that pay for it.
inline constexpr double kWorkBelow = tuned(32e6, 0.0);

// Blocks of random numbers of a dropout that are drawn side by side.
inline constexpr std::size_t kBlocksAtOnce = tuned<std::size_t>(4, 3);
// Units whose gradients from the layer above are added up before they go to their places.
inline constexpr std::size_t kUnitsFromAbove = tuned<std::size_t>(64, 8);

// Memory from this size on is asked for in large pages.
inline constexpr std::size_t kHugePagesFrom = tuned<std::size_t>(4096, 64) * 1024;
// Rows of Z are prefetched where a leaf keeps more than this size of them, and a timestep has no
// more than that; on the way back this far ahead and a timestep more, forward this number of
// timesteps. Beside the passes of a cell, about this number of floats at once.
inline constexpr std::size_t kCachedStates = tuned<std::size_t>(2048, 0) * 1024;
inline constexpr std::size_t kLargestStepAhead = tuned<std::size_t>(32, 1024) * 1024;
inline constexpr std::size_t kStateBytesAhead = tuned<std::size_t>(8, 1) * 1024;
inline constexpr std::size_t kStepsAhead = tuned<std::size_t>(2, 1);
inline constexpr std::size_t kFloatsPrefetched = tuned<std::size_t>(768, 100);

}  // namespace lockstep
