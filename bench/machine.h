// The machine's own limits, measured in this process: what every share of peak refers to.
#pragma once

#include <cstddef>
#include <string>

namespace lockstep::bench {

// Widest vectors of this CPU, in float32, or less where the run is restricted.
std::size_t widest_lanes();
void restrict_lanes(std::size_t lanes);

// One thread's chains of fused multiply-adds on vectors of `lanes` float32 (of separate multiply
// and add where there are no fused ones, on 4-lane x86), `rounds` times. Returns the FLOP done.
double run_fma_chains(std::size_t lanes, std::size_t rounds);

// FLOP/s of `threads` threads in such chains at once: the most that any product can reach. The best
// of several short runs, measured when first asked for.
double peak_flops(std::size_t lanes, int threads);

// Bytes read and written per second by `threads` threads that copy `working_set` bytes (source and
// destination) from the nearest cache that holds them, with the widest vectors. Likewise.
double copy_bandwidth(std::size_t working_set, int threads);

// Leaves none of the program's data in any cache.
void empty_caches();

// Bytes of the last-level cache; 32 MiB where Linux does not tell.
std::size_t last_level_cache();

// What the run can be compared by: CPU, governor, quota, compiler, flags, versions, and which
// backend of those that are measured is the one that users get. Into Google Benchmark's context,
// and from there into the JSON file.
void describe_machine(const std::string& default_backend);

}  // namespace lockstep::bench
