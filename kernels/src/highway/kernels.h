// The micro-kernels over Highway for one target, of which kernels/CMakeLists.txt writes a file that
// defines LOCKSTEP_TABLE and LOCKSTEP_ARCH, Highway's name, and includes this. There is no guard,
// because foreach_target.h includes this once more for that target.
#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>

#include "backends.h"
#include "lockstep/portable_math.h"
#include "simd/constants.h"

#define LOCKSTEP_CAT(a, b) LOCKSTEP_CAT_(a, b)
#define LOCKSTEP_CAT_(a, b) a##b
// 0 in an #if where the installed Highway does not know the target.
#define LOCKSTEP_HWY LOCKSTEP_CAT(HWY_, LOCKSTEP_ARCH)

// This target alone, and one without vectors, which Highway insists on.
#define HWY_DISABLED_TARGETS (~(LOCKSTEP_HWY | HWY_EMU128 | HWY_SCALAR))
// Highway builds these only where they are asked for.
#define HWY_WANT_SSSE3 1
#define HWY_WANT_SSE4 1
#define HWY_COMPILE_ALL_ATTAINABLE 1
// Its debug assertions would call into libhwy; only the headers are used.
#define HWY_IS_DEBUG_BUILD 0

#include "hwy/detect_targets.h"
#if HWY_TARGETS & LOCKSTEP_HWY & ~(LOCKSTEP_FEW_TARGETS ? HWY_SSE2 | HWY_SSSE3 : 0)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "highway/kernels.h"
// clang-format off: foreach_target.h must come first
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// clang-format on

#if HWY_TARGET == LOCKSTEP_HWY
#define LOCKSTEP_AVX2 (HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2)
#define LOCKSTEP_INLINE HWY_INLINE
#define LOCKSTEP_NOINLINE HWY_NOINLINE

HWY_BEFORE_NAMESPACE();
namespace lockstep::HWY_NAMESPACE {
namespace {
// clang-format off: each builds on the one before
#include "simd/copy-inl.h"
#include "highway/vector-inl.h"
#include "simd/interleaved-inl.h"
#include "simd/math-inl.h"
#include "simd/arrays-inl.h"
#include "simd/gates-inl.h"
#include "simd/softmax-inl.h"
#include "simd/kernels-inl.h"
// clang-format on
}  // namespace

const Backend& table() {
  static const Backend backend =
      make_backend<HighwayVector>("highway", hwy::TargetName(HWY_TARGET));
  return backend;
}
}  // namespace lockstep::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif

#if HWY_ONCE
const lockstep::BackendTable lockstep::LOCKSTEP_TABLE = LOCKSTEP_CAT(N_, LOCKSTEP_ARCH)::table;
#endif
#else
const lockstep::BackendTable lockstep::LOCKSTEP_TABLE = nullptr;
#endif
