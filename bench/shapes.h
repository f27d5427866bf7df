// Every shape that is measured, and why. To measure one more, add a line.
#pragma once

#include <compare>
#include <cstddef>
#include <string_view>

namespace lockstep::bench {

// What `./dev bench` runs in minutes, and what only `./dev bench --full` does.
enum class Run { quick, full };

// How the operands of a product stand in memory; a shape names all that it is measured with.
enum Layout : unsigned {
  kPlain = 1,       // gemm: C = A B, row-major
  kPacked = 2,      // gemm_packed: the same with B packed beforehand, once for many products
  kTransposed = 4,  // gemm_tn: C += A^T B, the gradient of weights from activations and deltas
  kCold = 8,        // each layout once more with operands that are in no cache
  kScaled = 16,     // gemm_alpha: C = alpha A B + beta C, to be read beside gemm
};

struct GemmShape {
  std::size_t m, n, k;
  unsigned layouts;
  Run run;
};

inline constexpr GemmShape kGemmShapes[] = {
    // One sequence: a recurrent step at batch 1, bound by latency, then by reading the weights.
    {1, 64, 64, kPlain | kPacked, Run::quick},
    {1, 256, 256, kPlain | kPacked, Run::full},
    {1, 1024, 1024, kPlain | kPacked | kScaled, Run::quick},
    // Minibatches on small layers. 50 columns are no whole number of vectors.
    {8, 64, 64, kPlain | kPacked, Run::full},
    {20, 50, 50, kPlain | kPacked | kCold | kScaled, Run::quick},
    {20, 50, 1, kPlain | kPacked, Run::full},  // an input layer of one feature
    {32, 128, 128, kPlain | kPacked, Run::quick},
    {32, 128, 28, kPlain | kPacked, Run::full},   // an input layer of 28 features
    {32, 10, 128, kPlain | kPacked, Run::quick},  // logits of ten classes
    // Layers that outgrow the first-level cache, then the second.
    {64, 256, 256, kPlain | kPacked | kCold, Run::quick},
    {128, 512, 512, kPlain | kPacked | kScaled, Run::quick},
    {64, 1024, 1024, kPlain | kPacked, Run::full},
    {16, 1760, 1760, kPlain | kPacked, Run::quick},  // DeepBench's vanilla layers
    {64, 2560, 2560, kPlain | kPacked, Run::full},
    // x Wx for all timesteps at once, and gradients of weights (k = sequences x timesteps).
    {6400, 256, 64, kPlain, Run::full},
    {256, 256, 6400, kPlain | kTransposed, Run::full},
    {512, 512, 6400, kPlain | kTransposed, Run::full},
    {50, 50, 1200, kTransposed, Run::quick},
    {256, 256, 128, kTransposed, Run::full},
    // Three panels of 64 columns, which two threads cannot share evenly.
    {256, 192, 512, kPlain, Run::full},
    // Squares, where a library for dense algebra is at home.
    {256, 256, 256, kPlain, Run::full},
    {1024, 1024, 1024, kPlain, Run::quick},
    {2048, 2048, 2048, kPlain, Run::full},
    // Nothing divides anything: primes, and one less and one more than the lanes.
    {7, 15, 17, kPlain | kPacked, Run::full},
    {13, 33, 31, kPlain | kPacked, Run::full},
    {97, 101, 103, kPlain | kPacked, Run::full},
    {31, 127, 129, kPlain | kPacked, Run::full},
};

struct BatchShape {
  std::size_t count, m, n, k;
  Run run;
};

// Many small products in one call, and one after the other: whole vectors, odd sizes, and rows
// times matrices of their own, which are bound by reading these.
inline constexpr BatchShape kBatchShapes[] = {{1000, 8, 8, 8, Run::quick},
                                              {1000, 7, 15, 17, Run::quick},
                                              {1000, 16, 16, 16, Run::full},
                                              {1000, 1, 64, 64, Run::full}};

// gemm_batch_nt: inputs of several sequences times the weights of a layer, a row for each unit.
inline constexpr BatchShape kSharedShapes[] = {
    {1000, 8, 8, 8, Run::full}, {200, 20, 50, 50, Run::quick}, {64, 8, 512, 512, Run::quick}};

struct RnnBenchShape {
  std::size_t n, t, d, h;  // sequences, timesteps, features, hidden units
  bool ragged;             // lengths from a quarter of t to t (ragged_length)
  Run run;
  bool denormal = false;   // inputs so small that all states are denormal numbers, or 0
  std::size_t layers = 1;  // of h units each, in each direction
  bool bidirectional = false;
  std::string_view cell = "tanh";  // of cell_names()

  auto operator<=>(const RnnBenchShape&) const = default;
};

inline constexpr bool kRagged = true;
inline constexpr bool kEqual = false;
inline constexpr bool kDenormal = true;
inline constexpr bool kBidirectional = true;

inline constexpr RnnBenchShape kRnnShapes[] = {
    // The program that Lockstep began as: synthetic control charts on 50 units.
    {20, 60, 1, 50, kEqual, Run::quick},
    // A long recording at batch 1, bound by the latency of one step.
    {1, 1000, 16, 64, kEqual, Run::quick},
    // Rows of 28 x 28 images; the same pixel by pixel.
    {32, 28, 28, 128, kEqual, Run::quick},
    {64, 784, 1, 128, kEqual, Run::full},
    // Weights that outgrow the first-level cache, the second, and a core's share of the third.
    {64, 100, 64, 256, kEqual, Run::quick},
    {128, 50, 256, 512, kEqual, Run::full},
    {64, 25, 512, 1024, kEqual, Run::full},
    // Long sequences, whose states leave the caches, and short ones of the same network: timesteps
    // of
    // the long ones are to be trained at 0.85 or more of the rate.
    {20, 100, 4, 64, kEqual, Run::quick},
    {20, 10000, 4, 64, kEqual, Run::quick},
    // Small layers, as in embedded models.
    {32, 50, 8, 8, kEqual, Run::full},
    {32, 50, 8, 16, kEqual, Run::full},
    {32, 50, 16, 32, kEqual, Run::full},
    {32, 50, 32, 64, kEqual, Run::full},
    {1, 100, 8, 32, kEqual, Run::full},
    {1, 50, 64, 128, kEqual, Run::full},
    // JapaneseVowels' sizes: 7 to 29 timesteps, and the same number of timesteps at equal length.
    {20, 29, 12, 64, kRagged, Run::quick},
    {20, 18, 12, 64, kEqual, Run::quick},
    // The first shape and the third with denormal numbers, on which some CPUs compute much slower.
    // Lockstep flushes them; no more than 1.1 times the time of the same shape without is promised.
    {20, 60, 1, 50, kEqual, Run::quick, kDenormal},
    {32, 28, 28, 128, kEqual, Run::full, kDenormal},
    // Primes, and one more than the lanes.
    {7, 13, 5, 17, kEqual, Run::full},
    {31, 29, 3, 65, kEqual, Run::full},
    // DeepBench's published vanilla layers (Baidu Research, 2016), where D = H.
    {16, 50, 1760, 1760, kEqual, Run::full},
    {32, 50, 1760, 1760, kEqual, Run::full},
    {64, 50, 1760, 1760, kEqual, Run::full},
    {128, 50, 1760, 1760, kEqual, Run::full},
    {16, 50, 2048, 2048, kEqual, Run::full},
    {32, 50, 2048, 2048, kEqual, Run::full},
    {64, 50, 2048, 2048, kEqual, Run::full},
    {128, 50, 2048, 2048, kEqual, Run::full},
    {16, 50, 2560, 2560, kEqual, Run::full},
    {32, 50, 2560, 2560, kEqual, Run::full},
    {64, 50, 2560, 2560, kEqual, Run::full},
    {128, 50, 2560, 2560, kEqual, Run::full},
};

// Measured with each gated cell.
inline constexpr std::string_view kGatedCells[] = {"lstm", "gru"};
inline constexpr RnnBenchShape kGatedShapes[] = {
    // Those of the vanilla network, for the same reasons.
    {20, 60, 1, 50, kEqual, Run::quick},
    {1, 1000, 16, 64, kEqual, Run::quick},
    {32, 28, 28, 128, kEqual, Run::quick},
    {64, 784, 1, 128, kEqual, Run::full},
    {64, 100, 64, 256, kEqual, Run::quick},
    {128, 50, 256, 512, kEqual, Run::full},
    {64, 25, 512, 1024, kEqual, Run::full},
    {1, 50, 64, 128, kEqual, Run::full},
    {20, 29, 12, 64, kRagged, Run::quick},
    {20, 18, 12, 64, kEqual, Run::quick},
    // Stacks, each followed by its layers alone where these are not above: a stack is to cost no
    // more than 5 % above their sum.
    {32, 28, 28, 128, kEqual, Run::quick, !kDenormal, 2, kBidirectional},
    {32, 28, 28, 128, kEqual, Run::full, !kDenormal, 1, kBidirectional},
    {32, 28, 256, 128, kEqual, Run::full, !kDenormal, 1, kBidirectional},
    {64, 100, 64, 256, kEqual, Run::full, !kDenormal, 3},
    {64, 100, 256, 256, kEqual, Run::full},
    // A stack over sequences of unequal length, which no peer but PyTorch and ONNX Runtime takes.
    {20, 29, 12, 64, kRagged, Run::quick, !kDenormal, 2, kBidirectional},
};

// Classes of every network that is measured.
inline constexpr std::size_t kClasses = 10;

struct ElementwiseSize {
  std::size_t n;
  Run run;
};

// Input and output together: 32 KiB, 384 KiB, 8 MiB, 128 MiB (each cache level and memory), and
// lengths that are mostly tail.
inline constexpr ElementwiseSize kElementwiseSizes[] = {{4096, Run::quick},   {49152, Run::quick},
                                                        {1 << 20, Run::full}, {1 << 24, Run::full},
                                                        {17, Run::full},      {1009, Run::full}};

struct RowsShape {
  std::size_t rows, cols;
  Run run;
};

// Classifiers have few classes; vocabularies and attention have long rows; the last is 128 MiB.
inline constexpr RowsShape kSoftmaxShapes[] = {
    {64, 10, Run::quick}, {64, 100, Run::quick}, {64, 1000, Run::quick}, {4096, 128, Run::full},
    {20, 2, Run::full},   {1, 10, Run::full},    {61, 17, Run::full},    {16384, 1024, Run::full}};
inline constexpr RowsShape kLossShapes[] = {
    {20, 6, Run::full}, {64, 10, Run::quick}, {64, 1000, Run::full}};
// Weights k x n, packed as they stand (pack) and transposed (pack_tn).
inline constexpr RowsShape kPackShapes[] = {
    {50, 50, Run::quick}, {512, 512, Run::quick}, {2560, 2560, Run::full}};

// Weights that an optimizer updates: of 20x60x1x50, of a layer, of a model in memory.
inline constexpr ElementwiseSize kUpdateSizes[] = {
    {2860, Run::quick}, {262144, Run::full}, {10000000, Run::quick}};

}  // namespace lockstep::bench
