// tanh, exp, sigmoid and ReLU over one vector, written once for every backend.
//
// Included once per target, inside the namespace of that target. `S` is the vector interface of the
// backend (see vector-inl.h of each) or several of its vectors side by side (interleaved-inl.h).
// All steps are correctly rounded IEEE operations, so that every target with a fused multiply-add
// gives the same bits. The coefficients come from kernels/tools/fit_tanh.py and fit_exp.py, which
// say how the ranges are cut.

// NOLINTBEGIN(modernize-use-nodiscard)
// Types, so that map_array can take one as an argument of its template.

// One of eight polynomials in t = |x| - centre. In the first, centre and c0 are 0 and c1 is 1: tiny
// and denormal arguments come back as they are. A NaN chooses some polynomial and makes t a NaN.
struct Tanh {
  template <class S>
  LOCKSTEP_INLINE typename S::V apply(typename S::V x) const {
    using V = typename S::V;
    const V a = S::at_most(S::abs(x), kTanhHigh);
    const V line = S::fma(a, S::set(kTanhScale), S::set(kTanhOffset));
    const V index = S::template shift_right<kTanhIndexShift>(line);
    const V t = S::sub(a, S::lookup(kTanhCentres, index));
    V y = S::lookup(kTanhCoefficients[6], index);
    y = S::fma(y, t, S::lookup(kTanhCoefficients[5], index));
    y = S::fma(y, t, S::lookup(kTanhCoefficients[4], index));
    y = S::fma(y, t, S::lookup(kTanhCoefficients[3], index));
    y = S::fma(y, t, S::lookup(kTanhCoefficients[2], index));
    y = S::fma(y, t, S::lookup(kTanhCoefficients[1], index));
    y = S::fma(y, t, S::lookup(kTanhCoefficients[0], index));
    return S::copy_sign(y, x);
  }
};

// power (1 + q) 2^floor(n), rounded once, for -151 <= n < 129 and `biased` = n + kRoundToEighths.
// Two powers of two reach the smallest denormal and infinity. The first goes into `power`, which is
// never NaN, and leaves that normal; so only the last product can round again.
template <class S>
LOCKSTEP_INLINE typename S::V scaled_exp(typename S::V power, typename S::V q, typename S::V n,
                                         typename S::V biased) {
  using V = typename S::V;
  if constexpr (S::kHasScale) {
    return S::scale(S::fma(power, q, power), n);
  } else {
    constexpr std::int32_t kSignAndExponent = -0x800000;
    const V shifted = S::template shift_left<20>(biased);
    const V whole = S::and_bits(shifted, kSignAndExponent);
    const V half = S::and_bits(S::template shift_right<1>(shifted), kSignAndExponent);
    const V rest = S::add_bits(S::sub_bits(whole, half), S::set(1.0f));
    const V first = S::add_bits(power, half);
    return S::mul(S::fma(first, q, first), rest);
  }
}

// 2^n 2^(j/8) exp(r), x = (n + j/8) ln 2 + r. What the rounding of the middle factor lost is added
// to exp(r) - 1.
template <class S>
LOCKSTEP_INLINE typename S::V bounded_exp(typename S::V x) {  // x <= kExpHigh
  using V = typename S::V;
  const V z = S::at_least(x, kExpLow);
  const V biased = S::fma(z, S::set(kLog2E), S::set(kRoundToEighths));
  const V n = S::sub(biased, S::set(kRoundToEighths));
  V r = S::fma(n, S::set(-kLn2High), z);
  r = S::fma(n, S::set(-kLn2Low), r);
  V q = S::fma(r, S::set(kExpCoefficients[2]), S::set(kExpCoefficients[1]));
  q = S::fma(r, q, S::set(kExpCoefficients[0]));
  q = S::fma(r, q, S::lookup(kExpPowerErrors, biased));
  const V power = S::lookup(kExpPowers, biased);
  return scaled_exp<S>(power, q, n, biased);
}

struct Exp {
  template <class S>
  LOCKSTEP_INLINE typename S::V apply(typename S::V x) const {
    return bounded_exp<S>(S::at_most(x, kExpHigh));
  }
};

// 1 / (1 + e) for positive x, otherwise e / (1 + e), e = exp(-|x|): no overflow, no cancellation
// where the result is small.
struct Sigmoid {
  template <class S>
  LOCKSTEP_INLINE typename S::V apply(typename S::V x) const {
    using V = typename S::V;
    const V one = S::set(1.0f);
    const V e = bounded_exp<S>(S::sub(S::zero(), S::abs(x)));
    return S::div(S::select_greater(S::zero(), x, e, one), S::add(one, e));
  }
};

struct Relu {
  template <class S>
  LOCKSTEP_INLINE typename S::V apply(typename S::V x) const {
    return S::at_least(x, 0.0f);
  }
};
// NOLINTEND(modernize-use-nodiscard)
