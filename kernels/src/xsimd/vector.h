// The vector interface of the micro-kernels, over xsimd. Differences between xsimd's versions and
// gaps in its architectures are bridged here and nowhere else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <xsimd/xsimd.hpp>

#include "microkernels.h"
#include "simd/constants.h"

#if defined(__AVX2__)
#define LOCKSTEP_AVX2 1
#else
#define LOCKSTEP_AVX2 0
#endif
#define LOCKSTEP_INLINE inline __attribute__((always_inline))
#define LOCKSTEP_NOINLINE __attribute__((noinline))

namespace lockstep {
namespace {
#include "simd/copy-inl.h"

// Not always_inline: g++ first folds xsimd's calls into such small functions and then inlines them
// all, in two thirds of the time.
template <class Arch>
struct XsimdVector {
  using V = xsimd::batch<float, Arch>;
  using I = xsimd::batch<std::int32_t, Arch>;

  static constexpr std::size_t kLanes = V::size;
  // AVX-512 is where intrinsics below are for 16 lanes.
  static constexpr bool kHasScale = kLanes == 16;
#if defined(__AVX512F__)
  // Vectors of half the length on AVX-512, which some cores do in half the time; otherwise the
  // same.
  using HalfArch = xsimd::fma3<xsimd::avx2>;
  using Half = XsimdVector<HalfArch>;
#else
  using Half = XsimdVector;
#endif
#if defined(__x86_64__)
  static constexpr bool kFused = kLanes > 4;
  static constexpr std::size_t kPanelVectors =
      kLanes == 16 ? kPanelVectorsOf32Registers : kPanelVectorsOf16Registers;
#else
  static constexpr bool kFused = true;
  static constexpr std::size_t kPanelVectors = kPanelVectorsOf32Registers;
#endif

  // load_n reads, and store_n writes, nothing beyond the n elements.
  static constexpr bool kMasks = LOCKSTEP_AVX2 != 0;

  static inline std::size_t lanes() { return kLanes; }
  static inline V zero() { return V(0.0f); }
  static inline V set(float x) { return V(x); }
  static inline V load(const float* p) { return V::load_unaligned(p); }
  // Four floats in each 128 bits, and one of those in all lanes.
  static constexpr bool kBroadcastsFour = true;
  static inline V load_four(const float* p) {
#if defined(__AVX512F__)
    return V(_mm512_broadcast_f32x4(_mm_loadu_ps(p)));
#elif defined(__AVX2__)
    return V(_mm256_broadcast_ps(reinterpret_cast<const __m128*>(p)));
#else
    return load(p);
#endif
  }
  template <int kIndex>
  static inline V broadcast_of_four(V x) {
#if defined(__AVX512F__)
    return V(_mm512_permute_ps(x, 0x55 * kIndex));
#elif defined(__AVX2__)
    return V(_mm256_permute_ps(x, 0x55 * kIndex));
#elif defined(__x86_64__)
    return V(_mm_shuffle_ps(x, x, 0x55 * kIndex));
#else
    return V(vdupq_laneq_f32(x, kIndex));
#endif
  }
  static inline void store(V x, float* p) { x.store_unaligned(p); }

  // The first n <= lanes() elements; the others are `fill`, which is not -0. No masked memory
  // access that xsimd 8 to 14 share exists.
  static inline V load_n(const float* p, std::size_t n, float fill = 0) {
#if defined(__AVX512F__)
    if constexpr (kLanes == 16) return V(_mm512_mask_loadu_ps(set(fill), first_n(n), p));
    if constexpr (kLanes == 8) return V(_mm256_mask_loadu_ps(set(fill), first_n(n), p));
#elif defined(__AVX2__)
    const __m256 x = _mm256_maskload_ps(p, first_n(n));  // 0 elsewhere
    return fill == 0 ? V(x) : V(_mm256_blendv_ps(set(fill), x, _mm256_castsi256_ps(first_n(n))));
#else
    float lane[kLanes];
    store(set(fill), lane);
    copy_few<kLanes>(p, lane, n);
    return load(lane);
#endif
  }
  static inline void store_n(V x, float* p, std::size_t n) {
#if defined(__AVX512F__)
    if constexpr (kLanes == 16) _mm512_mask_storeu_ps(p, first_n(n), x);
    if constexpr (kLanes == 8) _mm256_mask_storeu_ps(p, first_n(n), x);
#elif defined(__AVX2__)
    store_pieces(x, p, n);
#else
    float lane[kLanes];
    store(x, lane);
    copy_few<kLanes>(lane, p, n);
#endif
  }

#if defined(__AVX512F__)
  static inline xsimd::batch<float, HalfArch> lower_half(V x) { return _mm512_castps512_ps256(x); }
#endif

  static inline V add(V a, V b) { return a + b; }
  static inline V sub(V a, V b) { return a - b; }
  static inline V mul(V a, V b) { return a * b; }
  static inline V div(V a, V b) {
#if defined(__aarch64__)
    return V(vdivq_f32(a, b));  // xsimd 8 takes the approximate reciprocal of 32-bit ARM
#else
    return a / b;
#endif
  }
  static inline V max(V a, V b) { return xsimd::max(a, b); }
  static inline V abs(V a) { return xsimd::abs(a); }

  // xsimd 8's fma on AVX-512 is x * y + z, which is fused only if the compiler contracts.
  static inline V fma(V a, V b, V c) {
#if defined(__AVX512F__)
    if constexpr (kLanes == 16) return V(_mm512_fmadd_ps(a, b, c));
#endif
    return xsimd::fma(a, b, c);
  }
  // Are there registers to unroll the loop of the largest tiles?
#if defined(__AVX512F__)
  static constexpr bool kUnrolls = true;
#else
  static constexpr bool kUnrolls = false;
#endif
  // acc = fma(a, b, acc), in place: g++ would move accumulators about in an unrolled loop.
  static inline void accumulate(V a, V b, V& acc) {
#if defined(__AVX512F__) && !defined(__clang__)
    asm("vfmadd231ps {%2, %1, %0|%0, %1, %2}" : "+v"(acc.data) : "v"(a.data), "v"(b.data));
#else
    acc = fma(a, b, acc);
#endif
  }
  // c - a * b
  static inline V neg_fma(V a, V b, V c) {
#if defined(__AVX512F__)
    if constexpr (kLanes == 16) return V(_mm512_fnmadd_ps(a, b, c));
#endif
#if defined(__aarch64__)
    return V(vfmsq_f32(c, a, b));
#else
    return xsimd::fnma(a, b, c);
#endif
  }

  // a > b ? yes : no, per element.
  static inline V select_greater(V a, V b, V yes, V no) { return xsimd::select(a > b, yes, no); }
  // |magnitude| with the sign of `sign`; magnitude is not negative.
  static inline V copy_sign(V magnitude, V sign) {
#if defined(__aarch64__)
    return V(vbslq_f32(vdupq_n_u32(0x80000000), sign, magnitude));
#else
    return magnitude | (sign & V(-0.0f));
#endif
  }
  // min(x, limit) and max(x, limit), but NaN where x is NaN: the instructions of x86, to which
  // xsimd passes the operands in their order, give the second then.
  static inline V at_most(V x, float limit) {
#if defined(__aarch64__)
    return V(vminq_f32(x, vdupq_n_f32(limit)));  // (its maximum would make relu(-0) +0)
#else
    return xsimd::min(set(limit), x);
#endif
  }
  static inline V at_least(V x, float limit) {
#if defined(__aarch64__)
    return select_greater(set(limit), x, set(limit), x);
#else
    return xsimd::max(set(limit), x);
#endif
  }

  // The entry that the low three bits of `index` choose.
  static inline V lookup(const LookupTable& table, V index) {
#if defined(__AVX512F__)
    return V(_mm512_permutexvar_ps(_mm512_castps_si512(index), _mm512_load_ps(table.entry)));
#elif defined(__AVX2__)
    return V(_mm256_permutevar8x32_ps(_mm256_load_ps(table.entry), _mm256_castps_si256(index)));
#elif defined(__aarch64__)
    const uint32x4_t number = vandq_u32(vreinterpretq_u32_f32(index), vdupq_n_u32(7));
    // Bytes 4 i to 4 i + 3 of the table.
    const uint32x4_t bytes = vmlaq_n_u32(vdupq_n_u32(0x03020100), number, 0x04040404);
    const uint8x16x2_t entries = vld1q_u8_x2(reinterpret_cast<const uint8_t*>(table.entry));
    return V(vreinterpretq_f32_u8(vqtbl2q_u8(entries, vreinterpretq_u8_u32(bytes))));
#else
    alignas(16) std::int32_t number[kLanes];
    (to_bits(index) & I(7)).store_aligned(number);
    float lane[kLanes];
    for (std::size_t i = 0; i < kLanes; ++i) lane[i] = table.entry[number[i]];
    return load(lane);
#endif
  }
#if defined(__AVX512F__)
  // x * 2^floor(exponent), rounded once.
  static inline V scale(V x, V exponent) { return V(_mm512_scalef_ps(x, exponent)); }
#endif

  // Lane l exchanged with lane l ^ kDistance.
  template <std::size_t kDistance>
  static inline V swap_lanes(V x) {
#if defined(__AVX512F__)
    constexpr int kOrder = kDistance == 1 || kDistance == 4 ? 0xB1 : 0x4E;
    if constexpr (kDistance < 4) return V(_mm512_permute_ps(x, kOrder));
    return V(_mm512_shuffle_f32x4(x, x, kOrder));
#elif defined(__AVX2__)
    if constexpr (kDistance == 4) return V(_mm256_permute2f128_ps(x, x, 1));
    return V(_mm256_permute_ps(x, kDistance == 1 ? 0xB1 : 0x4E));
#elif defined(__aarch64__)
    return kDistance == 1 ? V(vrev64q_f32(x)) : V(vextq_f32(x, x, 2));
#else
    return V(_mm_shuffle_ps(x, x, kDistance == 1 ? 0xB1 : 0x4E));
#endif
  }

  // The bits of a float as a 32-bit integer.
  template <int kBits>
  static inline V shift_left(V x) {
    return from_bits(to_bits(x) << kBits);
  }
  template <int kBits>
  static inline V shift_right(V x) {
    return from_bits(to_bits(x) >> kBits);
  }
  static inline V and_bits(V x, std::int32_t mask) { return from_bits(to_bits(x) & I(mask)); }
  static inline V add_bits(V a, V b) { return from_bits(to_bits(a) + to_bits(b)); }
  static inline V sub_bits(V a, V b) { return from_bits(to_bits(a) - to_bits(b)); }

 private:
  // Not xsimd's bitwise_cast: version 9 spells it differently, 8 makes a call of it on ARM.
  static inline I to_bits(V x) { return I(reinterpret_cast<typename I::register_type>(x.data)); }
  static inline V from_bits(I x) { return V(reinterpret_cast<typename V::register_type>(x.data)); }

#if defined(__AVX512F__)
  using Mask = std::conditional_t<kLanes == 16, __mmask16, __mmask8>;
  static inline Mask first_n(std::size_t n) { return static_cast<Mask>((1u << n) - 1); }
#elif defined(__AVX2__)
  static inline __m256i first_n(std::size_t n) {
    const __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), index);
  }
#endif
};

}  // namespace
}  // namespace lockstep
