// The micro-kernels over Highway: foreach_target.h compiles this file once per target.
#include "highway/highway.h"

#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>

#include "lockstep/portable_math.h"
#include "simd/constants.h"

// Highway builds these only where they are asked for.
#if LOCKSTEP_FEW_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_AVX3_DL)
#else
#define HWY_WANT_SSSE3 1
#define HWY_WANT_SSE4 1
#define HWY_WANT_AVX3_DL 1
#endif
#define HWY_COMPILE_ALL_ATTAINABLE 1
// Its debug assertions would call into libhwy; only the headers are used.
#define HWY_IS_DEBUG_BUILD 0

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "highway/highway.cc"
// clang-format off: foreach_target.h must come first
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// clang-format on

// Without a SIMD baseline Highway adds a pass without vectors, which lacks operations: `reference`
// serves there.
#undef LOCKSTEP_SIMD_TARGET
#define LOCKSTEP_SIMD_TARGET (HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128)

#undef LOCKSTEP_AVX2
#define LOCKSTEP_AVX2 (HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2)
#undef LOCKSTEP_INLINE
#undef LOCKSTEP_NOINLINE
#define LOCKSTEP_INLINE HWY_INLINE
#define LOCKSTEP_NOINLINE HWY_NOINLINE

HWY_BEFORE_NAMESPACE();
namespace lockstep {
namespace HWY_NAMESPACE {
#if LOCKSTEP_SIMD_TARGET
namespace {
// clang-format off: each builds on the one before
#include "simd/copy-inl.h"
#include "highway/vector-inl.h"
#include "simd/interleaved-inl.h"
#include "simd/math-inl.h"
#include "simd/arrays-inl.h"
#include "simd/softmax-inl.h"
#include "simd/kernels-inl.h"
// clang-format on
}  // namespace

const Backend& table() {
  static const Backend backend =
      make_backend<HighwayVector>("highway", hwy::TargetName(HWY_TARGET));
  return backend;
}
#endif
}  // namespace HWY_NAMESPACE
}  // namespace lockstep
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lockstep {

BackendTable highway_target(std::string_view target) {
#define LOCKSTEP_TARGET(name) \
  if (target == #name) return &N_##name::table
#if defined(HWY_AVX10_2) && (HWY_TARGETS & HWY_AVX10_2)
  LOCKSTEP_TARGET(AVX10_2);
#endif
#if defined(HWY_AVX3_SPR) && (HWY_TARGETS & HWY_AVX3_SPR)
  LOCKSTEP_TARGET(AVX3_SPR);
#endif
#if defined(HWY_AVX3_ZEN4) && (HWY_TARGETS & HWY_AVX3_ZEN4)
  LOCKSTEP_TARGET(AVX3_ZEN4);
#endif
#if HWY_TARGETS & HWY_AVX3_DL
  LOCKSTEP_TARGET(AVX3_DL);
#endif
#if HWY_TARGETS & HWY_AVX3
  LOCKSTEP_TARGET(AVX3);
#endif
#if HWY_TARGETS & HWY_AVX2
  LOCKSTEP_TARGET(AVX2);
#endif
#if HWY_TARGETS & HWY_SSE4
  LOCKSTEP_TARGET(SSE4);
#endif
#if HWY_TARGETS & HWY_SSSE3
  LOCKSTEP_TARGET(SSSE3);
#endif
#if defined(HWY_SSE2) && (HWY_TARGETS & HWY_SSE2)
  LOCKSTEP_TARGET(SSE2);
#endif
#if HWY_TARGETS & HWY_SVE2_128
  LOCKSTEP_TARGET(SVE2_128);
#endif
#if HWY_TARGETS & HWY_SVE_256
  LOCKSTEP_TARGET(SVE_256);
#endif
#if HWY_TARGETS & HWY_SVE2
  LOCKSTEP_TARGET(SVE2);
#endif
#if HWY_TARGETS & HWY_SVE
  LOCKSTEP_TARGET(SVE);
#endif
#if defined(HWY_NEON_BF16) && (HWY_TARGETS & HWY_NEON_BF16)
  LOCKSTEP_TARGET(NEON_BF16);
#endif
#if HWY_TARGETS & HWY_NEON
  LOCKSTEP_TARGET(NEON);
#endif
#if defined(HWY_NEON_WITHOUT_AES) && (HWY_TARGETS & HWY_NEON_WITHOUT_AES)
  LOCKSTEP_TARGET(NEON_WITHOUT_AES);
#endif
#undef LOCKSTEP_TARGET
  return nullptr;
}

}  // namespace lockstep
#endif
