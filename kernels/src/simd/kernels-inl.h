// The matrix products, written once for every backend, and the table of all micro-kernels.
//
// Included once per target, inside the namespace of that target, after all other -inl.h. `S` is the
// vector interface of the backend. Vectors may have no size known to the compiler (SVE), so they
// are never put into arrays or classes: the accumulators of a tile are a parameter pack.

// The last vector of a tile's columns can be partial; the others are whole.
struct LastVector {
  std::size_t count;  // columns in it, 1 .. lanes
  bool partial;
};

template <class S, bool kIsLast>
LOCKSTEP_INLINE typename S::V load_vector(const float* p, LastVector last) {
  if constexpr (kIsLast) {
    if (last.partial) return S::load_n(p, last.count);
  }
  return S::load(p);
}

template <class S, bool kIsLast>
LOCKSTEP_INLINE void store_vector(typename S::V x, float* p, LastVector last) {
  if constexpr (kIsLast) {
    if (last.partial) return S::store_n(x, p, last.count);
  }
  S::store(x, p);
}

// Where accumulator kIndex of a tile of kVecs vectors per row stands.
template <class S, std::size_t kVecs, std::size_t kIndex>
struct Place {
  static constexpr bool kIsLast = kIndex % kVecs + 1 == kVecs;
  template <class T>
  static LOCKSTEP_INLINE T* in(T* matrix, std::size_t first_row, std::ptrdiff_t stride) {
    return row_of(matrix, first_row + kIndex / kVecs, stride) + kIndex % kVecs * S::lanes();
  }
};

template <class S, class Place>
LOCKSTEP_INLINE typename S::V start_value(const GemmStrip& g, std::size_t row, LastVector last) {
  const float* start = Place::in(g.start, row, g.start_row_stride);
  return S::mul(S::set(g.beta), load_vector<S, Place::kIsLast>(start, last));
}

// 1 - h^2, the derivative of tanh where its value is h.
template <class S, class Place>
LOCKSTEP_INLINE typename S::V tanh_derivative(const GemmStrip& g, std::size_t row,
                                              LastVector last) {
  const float* p = Place::in(g.h, row, g.h_row_stride);
  const typename S::V h = load_vector<S, Place::kIsLast>(p, last);
  return S::neg_fma(h, h, S::set(1.0f));
}

// How a tile reads b.
enum class ReadB {
  whole,     // whole vectors
  fetching,  // likewise, and brings a line of next_b into cache at each step of k
  masked,    // the last vector under its mask (on Zen 4 that costs a twentieth of a product)
  copying,   // likewise, writes what it reads to b_copy, and fetches both ahead and as above
};

// Rows of b that a copying tile fetches ahead: it reads them from a cache or memory further out,
// and with a stride that no hardware prefetcher follows.
inline constexpr std::size_t kFloatsPerLine = 16;
inline constexpr std::ptrdiff_t kFetchAhead = 16;

// Vector kIndex of a row of b.
template <class S, ReadB kRead, std::size_t kVecs, std::size_t kIndex>
LOCKSTEP_INLINE typename S::V b_vector(const float* b, LastVector last) {
  const float* p = b + kIndex % kVecs * S::lanes();
  constexpr bool kMasked = kRead == ReadB::masked || kRead == ReadB::copying;
  if constexpr (kMasked && kIndex % kVecs + 1 == kVecs) return S::load_n(p, last.count);
  return S::load(p);
}

// One row of b to its copy. The compiler merges the loads with those of the products.
template <class S, ReadB kRead, std::size_t kVecs, std::size_t... I>
LOCKSTEP_INLINE void copy_b(const float* b, std::ptrdiff_t stride, float* to, LastVector last,
                            std::index_sequence<I...>) {
  for (std::size_t j = 0; j < kVecs * S::lanes(); j += kFloatsPerLine) {
    __builtin_prefetch(b + kFetchAhead * stride + j);
  }
  (S::store(b_vector<S, kRead, kVecs, I>(b, last), to + I * S::lanes()), ...);
}

// A column of lines that a tile brings into cache.
struct Fetch {
  const float* line;
  std::ptrdiff_t stride;
};

// One register tile. Accumulator I of the pack is row I / kVecs, vector I % kVecs. The compiler
// merges the equal loads and broadcasts of one step of k, so each stands in a register once.
template <class S, ReadB kRead, std::size_t kVecs, std::size_t... I, class... V>
LOCKSTEP_INLINE void gemm_tile(const GemmStrip& g, std::size_t row, LastVector last, Fetch fetch,
                               std::index_sequence<I...>, V... acc) {
  if (g.start != nullptr) {
    ((acc = start_value<S, Place<S, kVecs, I>>(g, row, last)), ...);
  }
  // Not read through g: after a store to the copy the compiler would load them all again.
  const std::size_t k = g.k;
  const std::ptrdiff_t a_row_stride = g.a_row_stride;
  const std::ptrdiff_t a_k_stride = g.a_k_stride;
  const std::ptrdiff_t b_k_stride = g.b_k_stride;
  const float* a = row_of(g.a, row, a_row_stride);
  const float* b = g.b;
  float* copy = g.b_copy;
  for (std::size_t p = 0; p < k; ++p) {
    if constexpr (kRead == ReadB::fetching || kRead == ReadB::copying) {
      __builtin_prefetch(fetch.line, /*rw=*/0, /*locality=*/2);
      fetch.line += fetch.stride;
    }
    if constexpr (kRead == ReadB::copying) {
      copy_b<S, kRead, kVecs>(b, b_k_stride, copy, last, std::make_index_sequence<kVecs>());
      copy += S::kPanelVectors * S::lanes();
    }
    ((acc = S::fma(S::set(*row_of(a, I / kVecs, a_row_stride)),
                   b_vector<S, kRead, kVecs, I>(b, last), acc)),
     ...);
    a += a_k_stride;
    b += b_k_stride;
  }
  if (g.epilogue == Epilogue::tanh) {
    ((acc = tanh<S>(acc)), ...);
  } else if (g.epilogue == Epilogue::tanh_gradient) {
    ((acc = S::mul(acc, tanh_derivative<S, Place<S, kVecs, I>>(g, row, last))), ...);
  }
  (store_vector<S, Place<S, kVecs, I>::kIsLast>(
       acc, Place<S, kVecs, I>::in(g.c, row, g.c_row_stride), last),
   ...);
}

template <class S, ReadB kRead, std::size_t kVecs, std::size_t... I>
LOCKSTEP_INLINE void gemm_tile(const GemmStrip& g, std::size_t row, LastVector last, Fetch fetch,
                               std::index_sequence<I...> each) {
  gemm_tile<S, kRead, kVecs>(g, row, last, fetch, each, (static_cast<void>(I), S::zero())...);
}

template <class S, ReadB kRead, std::size_t kRows, std::size_t kVecs>
LOCKSTEP_NOINLINE void gemm_tile(const GemmStrip& g, std::size_t row, LastVector last,
                                 Fetch fetch) {
  gemm_tile<S, kRead, kVecs>(g, row, last, fetch, std::make_index_sequence<kRows * kVecs>());
}

// The next tile's part of c, which else would be waited for at its begin or end.
LOCKSTEP_INLINE void prefetch_c(const GemmStrip& g, std::size_t row) {
  const std::size_t end = std::min(row + kTileRows, g.rows);
  for (; row < end; ++row) {
    const float* c = row_of(g.c, row, g.c_row_stride);
    for (std::size_t j = 0; j < g.cols; j += kFloatsPerLine) __builtin_prefetch(c + j, 1);
  }
}

// The tile of `height` rows, of which each is an instance of its own.
template <class S, ReadB kRead, std::size_t kVecs>
LOCKSTEP_INLINE void gemm_tile_of(std::size_t height, const GemmStrip& g, std::size_t row,
                                  LastVector last, Fetch fetch) {
  if (height == 6) return gemm_tile<S, kRead, 6, kVecs>(g, row, last, fetch);
  if (height == 5) return gemm_tile<S, kRead, 5, kVecs>(g, row, last, fetch);
  if constexpr (kRead == ReadB::whole || kRead == ReadB::masked) {
    if (height == 4) return gemm_tile<S, kRead, 4, kVecs>(g, row, last, fetch);
    if (height == 3) return gemm_tile<S, kRead, 3, kVecs>(g, row, last, fetch);
    if (height == 2) return gemm_tile<S, kRead, 2, kVecs>(g, row, last, fetch);
    gemm_tile<S, kRead, 1, kVecs>(g, row, last, fetch);
  }
}

// The line that a tile fetches at each step of k: each tile another one of the rows to come.
LOCKSTEP_INLINE Fetch fetch_of_tile(const GemmStrip& g, std::size_t tile) {
  return {g.next_b + tile * kFloatsPerLine, g.next_b_k_stride};
}

// Rows from `row` on, of the tiles still to do.
template <class S, ReadB kRead, std::size_t kVecs>
LOCKSTEP_INLINE void gemm_rows(const GemmStrip& g, std::size_t row, LastVector last) {
  // A strip of c that does not stay in the first-level cache by itself.
  const bool fetches_c =
      g.rows * static_cast<std::size_t>(g.c_row_stride) * sizeof(float) > std::size_t{256} * 1024;
  for (std::size_t tile = row > 0 ? 1 : 0; row < g.rows; ++tile) {
    const std::size_t height = tile_height(g.rows - row);
    if (fetches_c) prefetch_c(g, row + height);
    const bool fetches =
        g.next_b != nullptr && tile * kFloatsPerLine < g.cols && height >= kTileRows - 1;
    if (kRead == ReadB::whole && fetches) {
      gemm_tile_of<S, ReadB::fetching, kVecs>(height, g, row, last, fetch_of_tile(g, tile));
    } else {
      gemm_tile_of<S, kRead, kVecs>(height, g, row, last, {});
    }
    row += height;
  }
}

// The first tile copies b, the others read the copy.
template <class S, std::size_t kVecs>
LOCKSTEP_INLINE void gemm_rows_copying_b(const GemmStrip& g, LastVector last) {
  const std::size_t height = tile_height(g.rows);
  // Where there is nothing to fetch, a line that is on its way.
  const Fetch fetch = g.next_b != nullptr ? fetch_of_tile(g, 0) : Fetch{g.b, g.b_k_stride};
  gemm_tile_of<S, ReadB::copying, kVecs>(height, g, 0, last, fetch);
  GemmStrip rest = g;
  rest.b = g.b_copy;
  rest.b_k_stride = static_cast<std::ptrdiff_t>(S::kPanelVectors * S::lanes());
  gemm_rows<S, ReadB::whole, kVecs>(rest, height, last);
}

template <class S, std::size_t kVecs>
LOCKSTEP_INLINE void gemm_vectors(const GemmStrip& g) {
  const std::size_t count = g.cols - (kVecs - 1) * S::lanes();
  const LastVector last{count, count != S::lanes()};
  if constexpr (S::kMasks) {
    if (g.b_copy != nullptr) return gemm_rows_copying_b<S, kVecs>(g, last);
    if (last.partial && !g.b_is_padded) return gemm_rows<S, ReadB::masked, kVecs>(g, 0, last);
  }
  gemm_rows<S, ReadB::whole, kVecs>(g, 0, last);
}

template <class S>
void gemm_strip(const GemmStrip& g) {
  const std::size_t vecs = (g.cols + S::lanes() - 1) / S::lanes();
  if constexpr (S::kPanelVectors == 4) {
    if (vecs == 4) return gemm_vectors<S, 4>(g);
    if (vecs == 3) return gemm_vectors<S, 3>(g);
  }
  if (vecs == 2) return gemm_vectors<S, 2>(g);
  gemm_vectors<S, 1>(g);
}

// One row times as many rows of b as there are `a`, along the rows as they stand in memory.
template <class S, std::size_t... P, class... Broadcast>
LOCKSTEP_INLINE void gemv_rows(const GemvStrip& g, const float* b, const float* start, float beta,
                               std::index_sequence<P...>, Broadcast... a) {
  const std::size_t lanes = S::lanes();
  const auto row = [&](std::size_t p) { return b + static_cast<std::ptrdiff_t>(p) * g.b_k_stride; };
  std::size_t j = 0;
  for (; j + lanes <= g.cols; j += lanes) {
    typename S::V acc = start == nullptr ? S::zero() : S::mul(S::set(beta), S::load(start + j));
    ((acc = S::fma(a, S::load(row(P) + j), acc)), ...);
    S::store(acc, g.c + j);
  }
  if (j == g.cols) return;
  const std::size_t n = g.cols - j;
  typename S::V acc = start == nullptr ? S::zero() : S::mul(S::set(beta), S::load_n(start + j, n));
  ((acc = S::fma(a, S::load_n(row(P) + j, n), acc)), ...);
  S::store_n(acc, g.c + j, n);
}

template <class S, std::size_t... P>
LOCKSTEP_INLINE void gemv_rows(const GemvStrip& g, std::size_t p, std::index_sequence<P...> each) {
  const float* a = row_of(g.a, p, g.a_k_stride);
  gemv_rows<S>(g, row_of(g.b, p, g.b_k_stride), p == 0 ? g.start : g.c, p == 0 ? g.beta : 1.0f,
               each, S::set(*row_of(a, P, g.a_k_stride))...);
}

template <class S>
void gemv_strip(const GemvStrip& g) {
  std::size_t p = 0;
  for (; p + 8 <= g.k; p += 8) gemv_rows<S>(g, p, std::make_index_sequence<8>());
  if (p + 4 <= g.k) {
    gemv_rows<S>(g, p, std::make_index_sequence<4>());
    p += 4;
  }
  for (; p < g.k; ++p) gemv_rows<S>(g, p, std::make_index_sequence<1>());
}

template <class S>
Backend make_backend(const char* library, const char* target) {
  return {library,
          target,
          S::kFused,
          S::lanes(),
          S::kPanelVectors * S::lanes(),
          S::kMasks,
          gemm_strip<S>,
          gemv_strip<S>,
          map_array<S, Tanh>,
          map_array<S, Exp>,
          map_array<S, Sigmoid>,
          map_array<S, Relu>,
          softmax_rows<S>,
          log_softmax_rows<S>};
}
