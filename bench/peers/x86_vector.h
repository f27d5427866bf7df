// The vector of the instruction set that a module is compiled for.
#pragma once

#include <immintrin.h>

#include <cstddef>

namespace lockstep::bench {

#if defined(__AVX512F__)
using Vector = __m512;
inline Vector load(const float* p) { return _mm512_loadu_ps(p); }
inline void store(float* p, Vector v) { _mm512_storeu_ps(p, v); }
#else
using Vector = __m256;
inline Vector load(const float* p) { return _mm256_loadu_ps(p); }
inline void store(float* p, Vector v) { _mm256_storeu_ps(p, v); }
#endif
inline constexpr std::size_t kLanes = sizeof(Vector) / sizeof(float);

}  // namespace lockstep::bench
