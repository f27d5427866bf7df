// The micro-kernels, written once for every backend.
//
// Included once per target, inside the namespace of that target, after math-inl.h. `S` is the
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

template <class T>
LOCKSTEP_INLINE T* row_of(T* p, std::size_t row, std::ptrdiff_t stride) {
  return p + static_cast<std::ptrdiff_t>(row) * stride;
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

// The elementwise functions; `operand` is the same vector for all elements.
struct Tanh {
  template <class S>
  static LOCKSTEP_INLINE typename S::V apply(typename S::V x, typename S::V) {
    return tanh<S>(x);
  }
};
struct Exp {
  template <class S>
  static LOCKSTEP_INLINE typename S::V apply(typename S::V x, typename S::V) {
    return exp<S>(x);
  }
};
struct ExpOfDifference {
  template <class S>
  static LOCKSTEP_INLINE typename S::V apply(typename S::V x, typename S::V operand) {
    return exp<S>(S::sub(x, operand));
  }
};
struct Multiply {
  template <class S>
  static LOCKSTEP_INLINE typename S::V apply(typename S::V x, typename S::V operand) {
    return S::mul(x, operand);
  }
};

// A tail is a masked vector through the same function: a result never depends on its position.
template <class S, class Function>
LOCKSTEP_INLINE void for_each_vector(const float* x, float* y, std::size_t n,
                                     typename S::V operand) {
  const std::size_t lanes = S::lanes();
  std::size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    S::store(Function::template apply<S>(S::load(x + i), operand), y + i);
  }
  if (i < n) {
    S::store_n(Function::template apply<S>(S::load_n(x + i, n - i), operand), y + i, n - i);
  }
}

template <class S, class Function>
void map_array(const float* x, float* y, std::size_t n) {
  for_each_vector<S, Function>(x, y, n, S::zero());
}

template <class S>
LOCKSTEP_INLINE float row_max(const float* x, std::size_t n) {
  const std::size_t lanes = S::lanes();
  typename S::V best = S::set(x[0]);
  std::size_t j = 0;
  for (; j + lanes <= n; j += lanes) best = S::max(best, S::load(x + j));
  float lane[kVirtualLanes];
  S::store(best, lane);
  float result = lane[0];
  for (std::size_t l = 1; l < lanes; ++l) result = lane[l] > result ? lane[l] : result;
  for (; j < n; ++j) result = x[j] > result ? x[j] : result;
  return result;
}

// Each pass takes one vector's worth of the virtual lanes, so that no pass needs an array of
// vectors.
template <class S>
LOCKSTEP_INLINE float row_sum(const float* x, std::size_t n) {
  const std::size_t lanes = S::lanes();
  float lane[kVirtualLanes];
  for (std::size_t first = 0; first < kVirtualLanes; first += lanes) {
    typename S::V sum = S::zero();
    std::size_t j = first;
    for (; j + lanes <= n; j += kVirtualLanes) sum = S::add(sum, S::load(x + j));
    if (j < n) sum = S::add(sum, S::load_n(x + j, n - j));
    S::store(sum, lane + first);
  }
  for (std::size_t width = kVirtualLanes / 2; width > 0; width /= 2) {
    for (std::size_t l = 0; l < width; ++l) lane[l] += lane[l + width];
  }
  return lane[0];
}

template <class S>
LOCKSTEP_INLINE void softmax_row(const float* x, float* y, std::size_t n, float& max, float& sum) {
  max = row_max<S>(x, n);
  for_each_vector<S, ExpOfDifference>(x, y, n, S::set(max));
  sum = row_sum<S>(y, n);
  for_each_vector<S, Multiply>(y, y, n, S::set(1.0f / sum));
}

template <class S>
void softmax_rows(const SoftmaxRows& s) {
  for (std::size_t i = 0; i < s.rows; ++i) {
    const auto row = static_cast<std::ptrdiff_t>(i);
    float max, sum;
    softmax_row<S>(s.x + row * s.x_row_stride, s.y + row * s.y_row_stride, s.cols, max, sum);
    if (s.max != nullptr) s.max[i] = max;
    if (s.sum != nullptr) s.sum[i] = sum;
  }
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
          softmax_rows<S>};
}
