#include "xsimd/kernels.h"
#include "xsimd/xsimd_backends.h"

const lockstep::Backend& lockstep::xsimd_neon64() { return xsimd_table<xsimd::neon64>("neon64"); }
