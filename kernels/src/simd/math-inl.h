// exp and tanh over one vector, written once for every backend.
//
// Included once per target, inside the namespace of that target. `S` is the vector interface of the
// backend (see vector-inl.h of each). All steps are correctly rounded IEEE operations, so that
// every target with a fused multiply-add gives the same bits. The coefficients come from
// kernels/tools/fit_exp.py.

// 2^n for the integer n that stands in the low bits of `biased` = n + 1.5 * 2^23, -126 <= n <= 127.
template <class S>
LOCKSTEP_INLINE typename S::V power_of_two(typename S::V biased) {
  return S::template shift_left_add<23>(biased, 0x3F800000);
}

// expm1(r) for |r| <= ln(2)/2 as r + r^2 q(r).
template <class S>
LOCKSTEP_INLINE typename S::V expm1_reduced(typename S::V r) {
  using V = typename S::V;
  V q = S::set(kExpm1[5]);
  q = S::fma(q, r, S::set(kExpm1[4]));
  q = S::fma(q, r, S::set(kExpm1[3]));
  q = S::fma(q, r, S::set(kExpm1[2]));
  q = S::fma(q, r, S::set(kExpm1[1]));
  q = S::fma(q, r, S::set(kExpm1[0]));
  return S::fma(S::mul(r, r), q, r);
}

// exp(x) = 2^n (1 + expm1(r)), x = n ln 2 + r. The scale is applied in two factors, so that results
// down to the smallest denormal and up to the largest float come out right.
template <class S>
LOCKSTEP_INLINE typename S::V exp(typename S::V x) {
  using V = typename S::V;
  // Selecting instead of min/max keeps NaN: a comparison with NaN is false.
  V z = S::select_greater(x, S::set(kExpHigh), S::set(kExpHigh), x);
  z = S::select_greater(S::set(kExpLow), z, S::set(kExpLow), z);
  const V biased = S::fma(z, S::set(kLog2E), S::set(kRoundMagic));
  const V n = S::sub(biased, S::set(kRoundMagic));
  V r = S::fma(n, S::set(-kLn2High), z);
  r = S::fma(n, S::set(-kLn2Low), r);
  const V y = S::add(S::set(1.0f), expm1_reduced<S>(r));
  const V half = S::add(S::mul(n, S::set(0.5f)), S::set(kRoundMagic));
  const V rest = S::add(S::sub(n, S::sub(half, S::set(kRoundMagic))), S::set(kRoundMagic));
  return S::mul(S::mul(y, power_of_two<S>(half)), power_of_two<S>(rest));
}

// With e = expm1(2 |x|) and d = e + 2: tanh |x| is q = e / d where e < 2, else 1 - 2 / d, which
// does not amplify the error of the quotient. The first is corrected by what the rounding of d and
// of the division lost; 1 / d is (1 - q) / 2 there, so that this needs no second division. Near
// zero e is exact to its last place: tiny and denormal arguments come back as they are.
template <class S>
LOCKSTEP_INLINE typename S::V tanh(typename S::V x) {
  using V = typename S::V;
  const V half = S::set(0.5f);
  const V one = S::set(1.0f);
  const V two = S::set(2.0f);
  const V a = S::abs(x);
  const V z = S::select_greater(a, S::set(kTanhHigh), S::set(kTanhHigh), a);
  const V biased = S::fma(z, S::set(2.0f * kLog2E), S::set(kRoundMagic));
  const V n = S::sub(biased, S::set(kRoundMagic));
  V r = S::fma(n, S::set(-kLn2High), S::add(z, z));
  r = S::fma(n, S::set(-kLn2Low), r);
  const V scale = power_of_two<S>(biased);
  const V e = S::fma(scale, expm1_reduced<S>(r), S::sub(scale, one));
  const V d = S::add(e, two);
  const V q = S::div(S::select_greater(e, two, two, e), d);
  const V lost = S::neg_fma(q, S::sub(e, S::sub(d, two)), S::neg_fma(q, d, e));
  const V small = S::fma(lost, S::neg_fma(half, q, half), q);
  return S::copy_sign(S::select_greater(e, two, S::sub(one, q), small), x);
}
