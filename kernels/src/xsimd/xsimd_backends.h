#pragma once

#include "microkernels.h"

namespace lockstep {

// One table per file of the same name; which files are built, CMakeLists.txt says.
const Backend& xsimd_sse4();
const Backend& xsimd_avx2();
const Backend& xsimd_avx512();
const Backend& xsimd_neon64();

}  // namespace lockstep
