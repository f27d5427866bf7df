// The vector interface of the micro-kernels, over Highway. Included once per target, inside
// HWY_NAMESPACE.

// Two facts that Highway has no macro for. x86 targets are numbered best first. Where masked loads
// and stores are not one instruction, Highway's touch memory beyond the mask.
#undef LOCKSTEP_32_REGISTERS
#undef LOCKSTEP_MASKED_MEMORY
#if HWY_ARCH_X86
#define LOCKSTEP_32_REGISTERS (HWY_TARGET <= HWY_AVX3)
#define LOCKSTEP_MASKED_MEMORY (HWY_TARGET <= HWY_AVX2)
#else
#define LOCKSTEP_32_REGISTERS 1
#define LOCKSTEP_MASKED_MEMORY (HWY_MEM_OPS_MIGHT_FAULT == 0)
#endif

namespace hn = hwy::HWY_NAMESPACE;

struct HighwayVector {
  // Not more than kVirtualLanes: the sums of a softmax are defined over that many.
  using D = hn::CappedTag<float, kVirtualLanes>;
  using V = hn::Vec<D>;

  static constexpr bool kFused = HWY_NATIVE_FMA != 0;
  // Vectors per panel: what kTileRows rows of accumulators leave registers for.
  static constexpr std::size_t kPanelVectors = LOCKSTEP_32_REGISTERS ? 4 : 2;

  // load_n and store_n are single instructions.
  static constexpr bool kMasks = LOCKSTEP_MASKED_MEMORY;

  static HWY_INLINE std::size_t lanes() { return hn::Lanes(D()); }
  static HWY_INLINE V zero() { return hn::Zero(D()); }
  static HWY_INLINE V set(float x) { return hn::Set(D(), x); }
  static HWY_INLINE V load(const float* p) { return hn::LoadU(D(), p); }
  static HWY_INLINE void store(V x, float* p) { hn::StoreU(x, D(), p); }

  // The first n < lanes() elements; the others are zero.
  static HWY_INLINE V load_n(const float* p, std::size_t n) {
#if LOCKSTEP_MASKED_MEMORY
    return hn::MaskedLoad(hn::FirstN(D(), n), D(), p);
#else
    float lane[kVirtualLanes] = {};
    for (std::size_t i = 0; i < n; ++i) lane[i] = p[i];
    return load(lane);
#endif
  }
  static HWY_INLINE void store_n(V x, float* p, std::size_t n) {
#if LOCKSTEP_MASKED_MEMORY
    hn::BlendedStore(x, hn::FirstN(D(), n), D(), p);
#else
    float lane[kVirtualLanes];
    store(x, lane);
    for (std::size_t i = 0; i < n; ++i) p[i] = lane[i];
#endif
  }

  static HWY_INLINE V add(V a, V b) { return hn::Add(a, b); }
  static HWY_INLINE V sub(V a, V b) { return hn::Sub(a, b); }
  static HWY_INLINE V mul(V a, V b) { return hn::Mul(a, b); }
  static HWY_INLINE V div(V a, V b) { return hn::Div(a, b); }
  static HWY_INLINE V max(V a, V b) { return hn::Max(a, b); }
  static HWY_INLINE V abs(V a) { return hn::Abs(a); }
  static HWY_INLINE V fma(V a, V b, V c) { return hn::MulAdd(a, b, c); }
  static HWY_INLINE V neg_fma(V a, V b, V c) { return hn::NegMulAdd(a, b, c); }
  // a > b ? yes : no, per element.
  static HWY_INLINE V select_greater(V a, V b, V yes, V no) {
    return hn::IfThenElse(hn::Gt(a, b), yes, no);
  }
  // |magnitude| with the sign of `sign`; magnitude is not negative.
  static HWY_INLINE V copy_sign(V magnitude, V sign) { return hn::CopySign(magnitude, sign); }
  // The float whose bits are (bits(x) << kBits) + offset.
  template <int kBits>
  static HWY_INLINE V shift_left_add(V x, int offset) {
    const hn::RebindToSigned<D> di;
    return hn::BitCast(D(), hn::Add(hn::ShiftLeft<kBits>(hn::BitCast(di, x)), hn::Set(di, offset)));
  }
};
