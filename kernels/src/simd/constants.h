// Numbers shared by all backends. Changing any of them changes results. The tables are the output
// of kernels/tools/fit_tanh.py and fit_exp.py.
#pragma once

#include <cstddef>

namespace lockstep {

// Eight floats that the low three bits of an index choose from. They are there twice, so that
// vectors of sixteen lanes, whose permutation reads four bits, need not clear the fourth.
struct alignas(64) LookupTable {
  static constexpr std::size_t kSize = 8;
  constexpr explicit LookupTable(const float (&values)[kSize]) {
    for (std::size_t i = 0; i < 2 * kSize; ++i) entry[i] = values[i % kSize];
  }
  float entry[2 * kSize] = {};
};

// The tables below are not inline: they need internal linkage where a backend includes them.

// tanh rounds to 1 from 9.011 on, and so does its last polynomial up to here; the line that chooses
// its polynomial: bits 22 to 24 of kTanhScale |x| + kTanhOffset.
inline constexpr float kTanhHigh = 9.125f;
inline constexpr float kTanhScale = 0.78125f;
inline constexpr float kTanhOffset = 0.5f;
inline constexpr int kTanhIndexShift = 22;
// tanh |x| = c0 + t c1 + ... + t^6 c6 with t = |x| - centre.
constexpr LookupTable kTanhCoefficients[] = {
    LookupTable({0x1.f9db98p-1f, 0x1.ff7e5cp-1f, 0x1.fffcf2p-1f, 0x1.fffffap-1f, 0.0f,
                 0x1.cd5a06p-2f, 0x1.7e0f7ap-1f, 0x1.d8bbf0p-1f}),
    LookupTable({0x1.86c070p-6f, 0x1.032ca2p-9f, 0x1.89687ap-15f, 0x1.81225ap-22f, 0x1.000000p+0f,
                 0x1.981256p-1f, 0x1.c5cdf8p-2f, 0x1.2e14b2p-3f}),
    LookupTable({-0x1.8209ecp-6f, -0x1.02de6cp-9f, -0x1.861ce2p-15f, -0x1.8018bap-22f,
                 -0x1.7c0428p-19f, -0x1.6fb460p-2f, -0x1.52a34ap-2f, -0x1.16e964p-3f}),
    LookupTable({0x1.f5fffap-7f, 0x1.57a202p-10f, 0x1.f05d4ep-16f, 0x1.f195aep-23f, -0x1.55319ep-2f,
                 -0x1.a996ecp-4f, 0x1.9582dep-4f, 0x1.39c59cp-4f}),
    LookupTable({-0x1.de93bap-8f, -0x1.57e05ap-11f, -0x1.05638ep-16f, -0x1.fc75eap-24f,
                 -0x1.14ec44p-9f, 0x1.5517a4p-3f, 0x1.2acdfcp-5f, -0x1.9f739ep-6f}),
    LookupTable({0x1.5f6e94p-9f, 0x1.21cd5cp-12f, 0x1.0cdc40p-17f, 0x1.f4d98ap-25f, 0x1.2e4e90p-3f,
                 -0x1.5fdabep-6f, -0x1.94a114p-5f, 0x1.328262p-11f}),
    LookupTable({-0x1.575df8p-11f, -0x1.62b2f4p-14f, -0x1.328dccp-19f, -0x1.322cb0p-26f,
                 -0x1.6c19c6p-5f, -0x1.bc73f0p-5f, 0x1.07afd6p-6f, 0x1.3e5d60p-8f})};
constexpr LookupTable kTanhCentres =
    LookupTable({0x1.470eb2p+1f, 0x1.e7210cp+1f, 0x1.6b8738p+2f, 0x1.03ae4cp+3f, 0.0f,
                 0x1.f10668p-2f, 0x1.edbf8cp-1f, 0x1.9c6b06p+0f});

// exp overflows above, and rounds to zero below.
inline constexpr float kExpHigh = 89.0f;
inline constexpr float kExpLow = -104.0f;
inline constexpr float kLog2E = 0x1.715476p+0f;
// ln 2 in two parts: the product of the first with the eighths is exact even where it is not fused.
inline constexpr float kLn2High = 0x1.62e000p-1f;
inline constexpr float kLn2Low = 0x1.0bfbe8p-15f;
// Adding 1.5 * 2^20 rounds a float of size below 2^19 to a multiple of 1/8, ties to even, and
// leaves that many eighths in the low bits of the sum.
inline constexpr float kRoundToEighths = 0x1.8p+20f;
// exp(r) = c0 + r (c1 + r (c2 + r c3)) on |r| <= ln(2)/16 with c1 to c3 here; the powers 2^(j/8);
// and c0 - 1 plus the relative rounding error of each power.
constexpr float kExpCoefficients[] = {0x1.000000p+0f, 0x1.000a48p-1f, 0x1.555982p-3f};
constexpr LookupTable kExpPowers({0x1.000000p+0f, 0x1.172b84p+0f, 0x1.306fe0p+0f, 0x1.4bfdaep+0f,
                                  0x1.6a09e6p+0f, 0x1.8ace54p+0f, 0x1.ae89fap+0f, 0x1.d5818ep+0f});
constexpr LookupTable kExpPowerErrors({-0x1.3b513ap-26f, -0x1.04aba4p-25f, 0x1.d29d94p-27f,
                                       -0x1.a7ddeep-25f, -0x1.54bdd0p-30f, -0x1.c2d18ep-27f,
                                       -0x1.1c195ep-25f, -0x1.a49998p-26f});

}  // namespace lockstep
