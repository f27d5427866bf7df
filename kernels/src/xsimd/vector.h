// The vector interface of the micro-kernels, over xsimd. Differences between xsimd's versions and
// gaps in its architectures are bridged here and nowhere else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <xsimd/xsimd.hpp>

#include "microkernels.h"

#define LOCKSTEP_INLINE inline __attribute__((always_inline))
#define LOCKSTEP_NOINLINE __attribute__((noinline))

namespace lockstep {
namespace {

template <class Arch>
struct XsimdVector {
  using V = xsimd::batch<float, Arch>;
  using I = xsimd::batch<std::int32_t, Arch>;

  static constexpr std::size_t kLanes = V::size;
#if defined(__x86_64__)
  static constexpr bool kFused = kLanes > 4;
  static constexpr std::size_t kPanelVectors = kLanes == 16 ? 4 : 2;
#else
  static constexpr bool kFused = true;
  static constexpr std::size_t kPanelVectors = 4;
#endif

  // load_n and store_n are single instructions.
#if defined(__AVX2__)
  static constexpr bool kMasks = true;
#else
  static constexpr bool kMasks = false;
#endif

  static LOCKSTEP_INLINE std::size_t lanes() { return kLanes; }
  static LOCKSTEP_INLINE V zero() { return V(0.0f); }
  static LOCKSTEP_INLINE V set(float x) { return V(x); }
  static LOCKSTEP_INLINE V load(const float* p) { return V::load_unaligned(p); }
  static LOCKSTEP_INLINE void store(V x, float* p) { x.store_unaligned(p); }

  // The first n < lanes() elements; the others are zero. No masked memory access that xsimd 8 to 14
  // share exists.
  static LOCKSTEP_INLINE V load_n(const float* p, std::size_t n) {
#if defined(__AVX512F__)
    return V(_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), p));
#elif defined(__AVX2__)
    return V(_mm256_maskload_ps(p, first_n(n)));
#else
    float lane[kLanes] = {};
    for (std::size_t i = 0; i < n; ++i) lane[i] = p[i];
    return load(lane);
#endif
  }
  static LOCKSTEP_INLINE void store_n(V x, float* p, std::size_t n) {
#if defined(__AVX512F__)
    _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1), x);
#elif defined(__AVX2__)
    _mm256_maskstore_ps(p, first_n(n), x);
#else
    float lane[kLanes];
    store(x, lane);
    for (std::size_t i = 0; i < n; ++i) p[i] = lane[i];
#endif
  }

  static LOCKSTEP_INLINE V add(V a, V b) { return a + b; }
  static LOCKSTEP_INLINE V sub(V a, V b) { return a - b; }
  static LOCKSTEP_INLINE V mul(V a, V b) { return a * b; }
  static LOCKSTEP_INLINE V div(V a, V b) { return a / b; }
  static LOCKSTEP_INLINE V max(V a, V b) { return xsimd::max(a, b); }
  static LOCKSTEP_INLINE V abs(V a) { return xsimd::abs(a); }

  // xsimd 8's fma on AVX-512 is x * y + z, which is fused only if the compiler contracts.
  static LOCKSTEP_INLINE V fma(V a, V b, V c) {
#if defined(__AVX512F__)
    return V(_mm512_fmadd_ps(a, b, c));
#else
    return xsimd::fma(a, b, c);
#endif
  }
  // c - a * b
  static LOCKSTEP_INLINE V neg_fma(V a, V b, V c) {
#if defined(__AVX512F__)
    return V(_mm512_fnmadd_ps(a, b, c));
#elif defined(__aarch64__)
    return V(vfmsq_f32(c, a, b));
#else
    return xsimd::fnma(a, b, c);
#endif
  }

  // a > b ? yes : no, per element.
  static LOCKSTEP_INLINE V select_greater(V a, V b, V yes, V no) {
    return xsimd::select(a > b, yes, no);
  }
  // |magnitude| with the sign of `sign`; magnitude is not negative.
  static LOCKSTEP_INLINE V copy_sign(V magnitude, V sign) { return magnitude | (sign & V(-0.0f)); }
  // The float whose bits are (bits(x) << kBits) + offset.
  template <int kBits>
  static LOCKSTEP_INLINE V shift_left_add(V x, std::int32_t offset) {
#if XSIMD_VERSION_MAJOR < 9
    return xsimd::bitwise_cast<V>((xsimd::bitwise_cast<I>(x) << kBits) + I(offset));
#else
    return xsimd::bitwise_cast<float>((xsimd::bitwise_cast<std::int32_t>(x) << kBits) + I(offset));
#endif
  }

 private:
#if defined(__AVX2__) && !defined(__AVX512F__)
  static LOCKSTEP_INLINE __m256i first_n(std::size_t n) {
    const __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), index);
  }
#endif
};

}  // namespace
}  // namespace lockstep
