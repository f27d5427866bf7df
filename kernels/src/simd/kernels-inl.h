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

// One register tile. Accumulator I of the pack is row I / kVecs, vector I % kVecs. The compiler
// merges the equal loads and broadcasts of one step of k, so each stands in a register once.
template <class S, std::size_t kVecs, std::size_t... I, class... V>
LOCKSTEP_INLINE void gemm_tile(const GemmStrip& g, std::size_t row, LastVector last,
                               std::index_sequence<I...>, V... acc) {
  if (g.start != nullptr) {
    ((acc = start_value<S, Place<S, kVecs, I>>(g, row, last)), ...);
  }
  const float* a = row_of(g.a, row, g.a_row_stride);
  const float* b = g.b;
  for (std::size_t p = 0; p < g.k; ++p) {
    ((acc = S::fma(S::set(*row_of(a, I / kVecs, g.a_row_stride)),
                   S::load(b + I % kVecs * S::lanes()), acc)),
     ...);
    a += g.a_k_stride;
    b += g.b_k_stride;
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

template <class S, std::size_t kVecs, std::size_t... I>
LOCKSTEP_INLINE void gemm_tile(const GemmStrip& g, std::size_t row, LastVector last,
                               std::index_sequence<I...> each) {
  gemm_tile<S, kVecs>(g, row, last, each, (static_cast<void>(I), S::zero())...);
}

template <class S, std::size_t kRows, std::size_t kVecs>
LOCKSTEP_NOINLINE void gemm_tile(const GemmStrip& g, std::size_t row, LastVector last) {
  gemm_tile<S, kVecs>(g, row, last, std::make_index_sequence<kRows * kVecs>());
}

// Cuts the rows into tiles of nearly equal height, since a tile of one row wastes most of its
// loads.
template <class S, std::size_t kVecs>
LOCKSTEP_INLINE void gemm_rows(const GemmStrip& g) {
  const std::size_t count = g.cols - (kVecs - 1) * S::lanes();
  const LastVector last{count, count != S::lanes()};
  std::size_t tiles = (g.rows + kTileRows - 1) / kTileRows;
  for (std::size_t row = 0; row < g.rows; --tiles) {
    const std::size_t height = (g.rows - row + tiles - 1) / tiles;
    switch (height) {
      case 1:
        gemm_tile<S, 1, kVecs>(g, row, last);
        break;
      case 2:
        gemm_tile<S, 2, kVecs>(g, row, last);
        break;
      case 3:
        gemm_tile<S, 3, kVecs>(g, row, last);
        break;
      case 4:
        gemm_tile<S, 4, kVecs>(g, row, last);
        break;
      case 5:
        gemm_tile<S, 5, kVecs>(g, row, last);
        break;
      default:
        gemm_tile<S, 6, kVecs>(g, row, last);
        break;
    }
    row += height;
  }
}

template <class S>
void gemm_strip(const GemmStrip& g) {
  const std::size_t vecs = (g.cols + S::lanes() - 1) / S::lanes();
  if constexpr (S::kPanelVectors == 4) {
    if (vecs == 4) return gemm_rows<S, 4>(g);
    if (vecs == 3) return gemm_rows<S, 3>(g);
  }
  if (vecs == 2) return gemm_rows<S, 2>(g);
  gemm_rows<S, 1>(g);
}

template <class S>
Backend make_backend(const char* library, const char* target) {
  return {library,
          target,
          S::kFused,
          S::lanes(),
          S::kPanelVectors * S::lanes(),
          gemm_strip<S>,
          map_array<S, Tanh>,
          map_array<S, Exp>,
          map_array<S, Sigmoid>,
          map_array<S, Relu>,
          softmax_rows<S>,
          log_softmax_rows<S>};
}
