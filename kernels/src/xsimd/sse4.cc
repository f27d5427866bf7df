#include "xsimd/kernels.h"
#include "xsimd/xsimd_backends.h"

const lockstep::Backend& lockstep::xsimd_sse4() { return xsimd_table<xsimd::sse4_2>("sse4"); }
