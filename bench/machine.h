// The machine's own limits, measured in this process: what every share of peak refers to.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "lockstep/aligned_vector.h"

namespace lockstep::bench {

// Widest vectors of this CPU, in float32, or less where the run is restricted.
std::size_t widest_lanes();
void restrict_lanes(std::size_t lanes);

// One thread's chains of fused multiply-adds on vectors of `lanes` float32 (of separate multiply
// and add where there are no fused ones, on 4-lane x86), `rounds` times. Returns the FLOP done.
double run_fma_chains(std::size_t lanes, std::size_t rounds);

// FLOP/s of `threads` threads in such chains at once: the most that any product can reach. The best
// of many short runs, measured when first asked for.
double peak_flops(std::size_t lanes, int threads);

// FLOP/s of such chains at this moment, on at most 256 bits, which slow no CPU down: the best of a
// few runs, a fifth of a millisecond together. A case is timed between two of them, so that a
// machine that has slowed down is not taken for a program that has.
double calibration_flops(int threads);

// Copies `working_set` bytes (source and destination, of all threads together) with the widest
// vectors. Each thread may call run with its own index at the same time as the others.
class CopyLoop {
 public:
  CopyLoop(std::size_t working_set, int threads);
  // Returns the bytes that this thread has read and written.
  double run(int thread);

 private:
  std::size_t count_;   // floats of each thread
  std::size_t passes_;  // in one run
  std::vector<AlignedVector<float>> from_, to_;
};

// Working sets of copies that stand for the levels of the hierarchy, ascending: half of what each
// cache of `threads` cores holds, and for memory four times the last-level cache.
std::vector<std::size_t> copy_working_sets(int threads);

// Bytes read and written per second by `threads` threads that copy from the nearest level that
// holds `working_set` bytes. Likewise measured when first asked for.
double copy_bandwidth(std::size_t working_set, int threads);

// Leaves none of the program's data in any cache.
void empty_caches();

// Bytes of the last-level cache; 32 MiB where Linux does not tell.
std::size_t last_level_cache();

// What the run can be compared by: CPU, governor, quota, compiler, flags, versions, and which
// backend of those that are measured is the one that users get. Into Google Benchmark's context,
// and from there into the JSON file.
void describe_machine(const std::string& default_backend);

// Likewise the multiply-add peaks in GFLOP/s of one and of two threads, as fma_gflops_1 and _2: two
// threads with a core each reach nearly twice as much as one.
void describe_two_threads();

}  // namespace lockstep::bench
