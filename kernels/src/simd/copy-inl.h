// Copies of a few floats, for instruction sets whose masked stores are slow or do not exist.
//
// Included once per target, inside the namespace of that target, before the vector interface.

template <std::size_t kCount>
LOCKSTEP_INLINE void copy_ends(const float* from, float* to, std::size_t n) {
  float first[kCount], last[kCount];
  std::memcpy(first, from, sizeof(first));
  std::memcpy(last, from + n - kCount, sizeof(last));
  std::memcpy(to, first, sizeof(first));
  std::memcpy(to + n - kCount, last, sizeof(last));
}

// n <= kMost floats, as two pieces of a power of two that may overlap.
template <std::size_t kMost>
LOCKSTEP_INLINE void copy_few(const float* from, float* to, std::size_t n) {
  if constexpr (kMost >= 8) {
    if (n >= 8) return copy_ends<8>(from, to, n);
  }
  if constexpr (kMost >= 4) {
    if (n >= 4) return copy_ends<4>(from, to, n);
  }
  if (n >= 2) return copy_ends<2>(from, to, n);
  if (n == 1) *to = *from;
}

#if LOCKSTEP_AVX2
// The first n <= 8 floats of x, piece by piece: AVX2's masked store is slow on AMD's cores, and a
// detour through memory waits for its own stores.
LOCKSTEP_INLINE void store_pieces(__m256 x, float* p, std::size_t n) {
  if (n == 8) return _mm256_storeu_ps(p, x);
  __m128 piece = _mm256_castps256_ps128(x);
  if ((n & 4) != 0) {
    _mm_storeu_ps(p, piece);
    piece = _mm256_extractf128_ps(x, 1);
    p += 4;
  }
  if ((n & 2) != 0) {
    _mm_storel_pi(reinterpret_cast<__m64*>(p), piece);
    piece = _mm_movehl_ps(piece, piece);
    p += 2;
  }
  if ((n & 1) != 0) _mm_store_ss(p, piece);
}
#endif
