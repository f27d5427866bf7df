#include "xsimd/kernels.h"
#include "xsimd/xsimd_backends.h"

const lockstep::Backend& lockstep::xsimd_avx2() {
  return xsimd_table<xsimd::fma3<xsimd::avx2>>("avx2");
}
