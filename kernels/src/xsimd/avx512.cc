#include "xsimd/kernels.h"
#include "xsimd/xsimd_backends.h"

const lockstep::Backend& lockstep::xsimd_avx512() { return xsimd_table<xsimd::avx512bw>("avx512"); }
