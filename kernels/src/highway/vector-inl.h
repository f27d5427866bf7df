// The vector interface of the micro-kernels, over Highway. Included once per target, inside
// HWY_NAMESPACE.

// Facts that Highway has no macro for. x86 targets are numbered best first. Where masked loads
// and stores are not one instruction, Highway's touch memory beyond the mask.
#define LOCKSTEP_AVX512 (HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3)
#define LOCKSTEP_SVE ((HWY_TARGET & (HWY_SVE | HWY_SVE_256 | HWY_SVE2 | HWY_SVE2_128)) != 0)
#define LOCKSTEP_NEON (HWY_ARCH_ARM_A64 && !LOCKSTEP_SVE)
#if HWY_ARCH_X86
#define LOCKSTEP_MASKED_MEMORY (HWY_TARGET <= HWY_AVX2)
#else
#define LOCKSTEP_MASKED_MEMORY (HWY_MEM_OPS_MIGHT_FAULT == 0)
#endif

namespace hn = hwy::HWY_NAMESPACE;

template <std::size_t kMaxLanes>
struct HighwayVectorOf {
  using D = hn::CappedTag<float, kMaxLanes>;
  using DI = hn::RebindToSigned<D>;
  using V = hn::Vec<D>;

  static constexpr bool kFused = HWY_NATIVE_FMA != 0;
  // Whether `scale` is there.
  static constexpr bool kHasScale = LOCKSTEP_AVX512 && kMaxLanes == kVirtualLanes;
  // Vectors of half the length on AVX-512, which some cores do in half the time; otherwise the
  // same.
  using Half = HighwayVectorOf<LOCKSTEP_AVX512 ? kVirtualLanes / 2 : kMaxLanes>;
  // 0 where vectors have no size that the compiler knows.
  static constexpr std::size_t kLanes = LOCKSTEP_SVE ? 0 : hn::MaxLanes(D());
  static constexpr std::size_t kPanelVectors =
      LOCKSTEP_AVX512 || !HWY_ARCH_X86 ? kPanelVectorsOf32Registers : kPanelVectorsOf16Registers;

  // load_n reads, and store_n writes, nothing beyond the n elements.
  static constexpr bool kMasks = LOCKSTEP_MASKED_MEMORY;

  static HWY_INLINE std::size_t lanes() { return hn::Lanes(D()); }
  static HWY_INLINE V zero() { return hn::Zero(D()); }
  static HWY_INLINE V set(float x) { return hn::Set(D(), x); }
  static HWY_INLINE V load(const float* p) { return hn::LoadU(D(), p); }
  // Four floats in each 128 bits, and one of those in all lanes; whether that is two instructions.
  static constexpr bool kBroadcastsFour = !LOCKSTEP_SVE;
  static HWY_INLINE V load_four(const float* p) { return hn::LoadDup128(D(), p); }
  template <int kIndex>
  static HWY_INLINE V broadcast_of_four(V x) {
    return hn::Broadcast<kIndex>(x);
  }
  static HWY_INLINE void store(V x, float* p) { hn::StoreU(x, D(), p); }

#if LOCKSTEP_MASKED_MEMORY
  static HWY_INLINE hn::Mask<D> first_n(std::size_t n) {
#if LOCKSTEP_AVX512
    // FirstN provides for more than 255 lanes, by a branch in every step of a loop.
    return hn::Mask<D>{static_cast<decltype(hn::Mask<D>::raw)>((1u << n) - 1)};
#else
    return hn::FirstN(D(), n);
#endif
  }
#endif

  // The first n <= lanes() elements; the others are `fill`, which is not -0.
  static HWY_INLINE V load_n(const float* p, std::size_t n, float fill = 0) {
#if LOCKSTEP_MASKED_MEMORY
    const V x = hn::MaskedLoad(first_n(n), D(), p);  // 0 elsewhere
    if (fill == 0) return x;
    return hn::IfThenElse(first_n(n), x, set(fill));
#else
    float lane[kVirtualLanes];
    store(set(fill), lane);
    copy_few<(kLanes > 0 ? kLanes : kVirtualLanes)>(p, lane, n);
    return load(lane);
#endif
  }
  static HWY_INLINE void store_n(V x, float* p, std::size_t n) {
#if HWY_TARGET == HWY_AVX2
    store_pieces(x.raw, p, n);
#elif LOCKSTEP_MASKED_MEMORY
    hn::BlendedStore(x, first_n(n), D(), p);
#else
    float lane[kVirtualLanes];
    store(x, lane);
    copy_few<(kLanes > 0 ? kLanes : kVirtualLanes)>(lane, p, n);
#endif
  }

#if LOCKSTEP_AVX512
  static HWY_INLINE hn::Vec<hn::Half<D>> lower_half(V x) { return hn::LowerHalf(hn::Half<D>(), x); }
#endif

  static HWY_INLINE V add(V a, V b) { return hn::Add(a, b); }
  static HWY_INLINE V sub(V a, V b) { return hn::Sub(a, b); }
  static HWY_INLINE V mul(V a, V b) { return hn::Mul(a, b); }
  static HWY_INLINE V div(V a, V b) { return hn::Div(a, b); }
  static HWY_INLINE V max(V a, V b) { return hn::Max(a, b); }
  static HWY_INLINE V abs(V a) { return hn::Abs(a); }
  static HWY_INLINE V fma(V a, V b, V c) { return hn::MulAdd(a, b, c); }
  // Are there registers to unroll the loop of the largest tiles?
  static constexpr bool kUnrolls = LOCKSTEP_AVX512;
  // acc = fma(a, b, acc), in place: g++ would move accumulators about in an unrolled loop.
  static HWY_INLINE void accumulate(V a, V b, V& acc) {
#if LOCKSTEP_AVX512 && !defined(__clang__)
    asm("vfmadd231ps {%2, %1, %0|%0, %1, %2}" : "+v"(acc.raw) : "v"(a.raw), "v"(b.raw));
#else
    acc = fma(a, b, acc);
#endif
  }
  static HWY_INLINE V neg_fma(V a, V b, V c) { return hn::NegMulAdd(a, b, c); }
  // a > b ? yes : no, per element.
  static HWY_INLINE V select_greater(V a, V b, V yes, V no) {
    return hn::IfThenElse(hn::Gt(a, b), yes, no);
  }
  // |magnitude| with the sign of `sign`; magnitude is not negative.
  static HWY_INLINE V copy_sign(V magnitude, V sign) {
#if LOCKSTEP_NEON
    return V(vbslq_f32(vdupq_n_u32(0x80000000), sign.raw, magnitude.raw));
#else
    return hn::CopySign(magnitude, sign);
#endif
  }
  // min(x, limit) and max(x, limit), but NaN where x is NaN: the instructions of x86 give their
  // second operand then, others have rules of their own.
  static HWY_INLINE V at_most(V x, float limit) {
#if HWY_ARCH_X86
    return hn::Min(set(limit), x);
#elif LOCKSTEP_NEON
    return V(vminq_f32(x.raw, vdupq_n_f32(limit)));  // (its maximum would make relu(-0) +0)
#else
    return select_greater(x, set(limit), set(limit), x);
#endif
  }
  static HWY_INLINE V at_least(V x, float limit) {
#if HWY_ARCH_X86
    return hn::Max(set(limit), x);
#else
    return select_greater(set(limit), x, set(limit), x);
#endif
  }

  // The entry that the low three bits of `index` choose.
  static HWY_INLINE V lookup(const LookupTable& table, V index) {
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2
    return hn::TableLookupLanes(load(table.entry),
                                hn::IndicesFromVec(D(), hn::BitCast(DI(), index)));
#elif LOCKSTEP_SVE
    const svuint32_t number = svand_n_u32_x(svptrue_b32(), svreinterpret_u32_f32(index), 7);
#if HWY_TARGET == HWY_SVE2_128
    const V low = svld1_f32(svptrue_b32(), table.entry);
    const V high = svld1_f32(svptrue_b32(), table.entry + 4);
    return svtbl2_f32(svcreate2_f32(low, high), number);
#else  // cpu_features.h: at least eight lanes
    return svtbl_f32(svld1_f32(svwhilelt_b32_u32(0, 8), table.entry), number);
#endif
#elif LOCKSTEP_NEON
    const uint32x4_t number = vandq_u32(vreinterpretq_u32_f32(index.raw), vdupq_n_u32(7));
    // Bytes 4 i to 4 i + 3 of the table.
    const uint32x4_t bytes = vmlaq_n_u32(vdupq_n_u32(0x03020100), number, 0x04040404);
    const uint8x16x2_t entries = vld1q_u8_x2(reinterpret_cast<const uint8_t*>(table.entry));
    return V(vreinterpretq_f32_u8(vqtbl2q_u8(entries, vreinterpretq_u8_u32(bytes))));
#else
    return hn::GatherIndex(D(), table.entry, hn::BitCast(DI(), and_bits(index, 7)));
#endif
  }
#if LOCKSTEP_AVX512
  // x * 2^floor(exponent), rounded once.
  static HWY_INLINE V scale(V x, V exponent) { return V{_mm512_scalef_ps(x.raw, exponent.raw)}; }
#endif

  // Lane l exchanged with lane l ^ kDistance.
  template <std::size_t kDistance>
  static HWY_INLINE V swap_lanes(V x) {
    if constexpr (kDistance == 1) {
      return hn::Shuffle2301(x);
    } else if constexpr (kDistance == 2) {
      return hn::Shuffle1032(x);
    } else if constexpr (2 * kDistance == kLanes) {
      return hn::ConcatLowerUpper(D(), x, x);
    } else {
      return hn::SwapAdjacentBlocks(x);
    }
  }

  // The bits of a float as a 32-bit integer.
  template <int kBits>
  static HWY_INLINE V shift_left(V x) {
    return hn::BitCast(D(), hn::ShiftLeft<kBits>(hn::BitCast(DI(), x)));
  }
  template <int kBits>
  static HWY_INLINE V shift_right(V x) {
    return hn::BitCast(D(), hn::ShiftRight<kBits>(hn::BitCast(DI(), x)));
  }
  static HWY_INLINE V and_bits(V x, std::int32_t mask) {
    return hn::BitCast(D(), hn::And(hn::BitCast(DI(), x), hn::Set(DI(), mask)));
  }
  static HWY_INLINE V add_bits(V a, V b) {
    return hn::BitCast(D(), hn::Add(hn::BitCast(DI(), a), hn::BitCast(DI(), b)));
  }
  static HWY_INLINE V sub_bits(V a, V b) {
    return hn::BitCast(D(), hn::Sub(hn::BitCast(DI(), a), hn::BitCast(DI(), b)));
  }
};

// Not more than kVirtualLanes: the sums of a softmax are defined over that many.
using HighwayVector = HighwayVectorOf<kVirtualLanes>;
