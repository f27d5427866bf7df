#pragma once

namespace lockstep {

// What this CPU can run and the operating system saves on a context switch. Each flag covers all
// instructions that a backend of that name is compiled for.
struct CpuFeatures {
  // x86-64
  bool ssse3 = false;
  bool sse4 = false;    // SSE4.2, PCLMUL, AES
  bool avx2 = false;    // AVX2, FMA, BMI 1 and 2, LZCNT, POPCNT, F16C
  bool avx512 = false;  // AVX-512 F, CD, BW, DQ, VL
  // aarch64
  bool neon = false;
  bool neon_crypto = false;    // AES, PMULL, SHA 1 and 2
  bool neon_bf16 = false;      // and BF16, FP16, dot products
  bool sve = false;            // with vectors longer than NEON's
  bool sve2 = false;           // longer than NEON's, and AES
  bool sve_256_bits = false;   // the vector length is exactly that
  bool sve2_128_bits = false;  // exactly that; SVE2, AES, BF16, I8MM
};

// Asked once.
const CpuFeatures& cpu_features();

}  // namespace lockstep
