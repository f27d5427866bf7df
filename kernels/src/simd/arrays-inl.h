// Functions of arrays, element by element, written once for every backend.
//
// Included once per target, inside the namespace of that target, after math-inl.h.

// 0 < n elements, no more than kMost vectors hold, in as few as hold them. Not inline: the loop
// before it would be slower (docs/decisions/tanh-after-products.md).
template <class S, std::size_t kMost, class Function>
LOCKSTEP_NOINLINE void for_few_vectors(const Function& f, const float* x, float* y, std::size_t n) {
  if constexpr (kMost > 1) {
    if (n <= (kMost - 1) * S::kLanes) return for_few_vectors<S, kMost - 1>(f, x, y, n);
  }
  using Few = InterleavedVectors<S, kMost>;
  Few::store_row(f.template apply<Few>(Few::load_row(x, n, 0)), y, n);
}

template <class S, class Function>
LOCKSTEP_INLINE std::size_t for_each_whole(const Function& f, const float* x, float* y,
                                           std::size_t n) {
  std::size_t i = 0;
  for (; i + S::lanes() <= n; i += S::lanes()) {
    S::store(f.template apply<S>(S::load(x + i)), y + i);
  }
  return i;
}

// Several vectors at a time: enough chains to fill the gaps of each other. A tail is a masked
// vector through the same function: a result never depends on its position.
template <class S, class Function>
LOCKSTEP_INLINE void for_each_vector(const Function& f, const float* x, float* y, std::size_t n) {
  if constexpr (S::kLanes > 0) {
    const std::size_t done = for_each_whole<InterleavedVectors<S, kInterleavedVectors>>(f, x, y, n);
    if (done < n) for_few_vectors<S, kInterleavedVectors>(f, x + done, y + done, n - done);
  } else {  // the compiler does not know the size of a vector
    const std::size_t done = for_each_whole<S>(f, x, y, n);
    if (done < n)
      S::store_n(f.template apply<S>(S::load_n(x + done, n - done)), y + done, n - done);
  }
}

template <class S, class Function>
void map_array(const float* x, float* y, std::size_t n) {
  for_each_vector<S>(Function(), x, y, n);
}

// Rows of kVectors vectors at most, as many side by side as make kInterleavedVectors. Returns how
// many rows are done.
template <class S, std::size_t kVectors, class Function>
LOCKSTEP_INLINE std::size_t map_short_rows(float* x, std::size_t rows, std::size_t cols,
                                           std::ptrdiff_t stride) {
  constexpr std::size_t kRows = kInterleavedVectors / kVectors;
  static_assert(kRows > 0);
  using Several = InterleavedVectors<InterleavedVectors<S, kVectors>, kRows>;
  std::size_t i = 0;
  for (; i + kRows <= rows; i += kRows, x += static_cast<std::ptrdiff_t>(kRows) * stride) {
    const typename Several::V row = Several::load_rows(x, stride, cols, 0);
    Several::store_rows(Function().template apply<Several>(row), x, stride, cols);
  }
  return i;
}

template <class S, class Function>
void map_rows(float* x, std::size_t rows, std::size_t cols, std::ptrdiff_t stride) {
  std::size_t done = 0;
  if constexpr (S::kLanes > 0 && S::kMasks) {
    if (cols <= S::kLanes) {
      done = map_short_rows<S, 1, Function>(x, rows, cols, stride);
    } else if (cols <= 2 * S::kLanes) {
      done = map_short_rows<S, 2, Function>(x, rows, cols, stride);
    }
  }
  x += static_cast<std::ptrdiff_t>(done) * stride;
  for (; done < rows; ++done, x += stride) for_each_vector<S>(Function(), x, x, cols);
}
