// Numbers shared by all backends; the coefficients are the output of kernels/tools/fit_exp.py.
#pragma once

namespace lockstep {

inline constexpr float kLog2E = 0x1.715476p+0f;
// ln 2 in two parts: n * kLn2High is exact for |n| <= 2^9 or fused anyway, the low part the rest.
inline constexpr float kLn2High = 0x1.62e400p-1f;
inline constexpr float kLn2Low = 0x1.7f7d1cp-20f;
// Adding 1.5 * 2^23 rounds a float of size below 2^22 to an integer, ties to even, and leaves that
// integer in the low bits of the sum.
inline constexpr float kRoundMagic = 0x1.8p+23f;

// exp overflows above, and rounds to zero below.
inline constexpr float kExpHigh = 89.0f;
inline constexpr float kExpLow = -104.0f;
// tanh rounds to 1 from 9.011 on.
inline constexpr float kTanhHigh = 9.1f;

// expm1(r) = r + r^2 (c0 + c1 r + ... + c5 r^5) on |r| <= ln(2)/2.
// Largest error relative to expm1(r): 3.6e-9 = 2^-28.
inline constexpr float kExpm1[6] = {0x1.000000p-1f, 0x1.55552cp-3f,  0x1.555502p-5f,
                                    0x1.1155a8p-7f, 0x1.6d2f4ep-10f, 0x1.3c3b70p-13f};

}  // namespace lockstep
