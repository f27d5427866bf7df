#pragma once

#include "microkernels.h"

namespace lockstep {

// The table of each target of a SIMD library, in a file that CMakeLists.txt writes; null where the
// installed library or the compiler lacks it.
extern const BackendTable highway_avx3, highway_avx2, highway_sse4, highway_ssse3, highway_sse2;
extern const BackendTable highway_sve_256, highway_sve2, highway_sve, highway_neon_bf16,
    highway_neon, highway_neon_without_aes, highway_sve2_128;
extern const BackendTable xsimd_avx512, xsimd_avx2, xsimd_sse4, xsimd_neon64;

// Plain loops in double precision: the oracle that defines each kernel. Runs everywhere.
const Backend& reference_table();

}  // namespace lockstep
