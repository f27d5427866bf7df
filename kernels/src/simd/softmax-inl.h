// Softmax and its logarithm, written once for every backend.
//
// Included once per target, inside the namespace of that target, after arrays-inl.h. Sums have the
// order that definition.h gives them, whatever the size of a vector.

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

struct MaxAndSum {
  float max;
  float sum;  // of exp(x - max)
};

template <class T>
LOCKSTEP_INLINE T* row_of(T* p, std::size_t row, std::ptrdiff_t stride) {
  return p + static_cast<std::ptrdiff_t>(row) * stride;
}

// NOLINTBEGIN(modernize-use-nodiscard)
struct ScaledExp {
  float max;
  float factor;
  template <class S>
  LOCKSTEP_INLINE typename S::V apply(typename S::V x) const {
    return S::mul(bounded_exp<S>(S::sub(x, S::set(max))), S::set(factor));
  }
};
struct Multiply {
  float factor;
  template <class S>
  LOCKSTEP_INLINE typename S::V apply(typename S::V x) const {
    return S::mul(x, S::set(factor));
  }
};
struct SubtractBoth {
  float first;
  float second;
  template <class S>
  LOCKSTEP_INLINE typename S::V apply(typename S::V x) const {
    return S::sub(S::sub(x, S::set(first)), S::set(second));
  }
};
// NOLINTEND(modernize-use-nodiscard)

// The virtual lanes as one vector or as several; nothing where a vector's size is not known.
template <class S>
auto virtual_vector() {
  if constexpr (S::kLanes == kVirtualLanes) return S();
  if constexpr (S::kLanes > 0 && S::kLanes < kVirtualLanes) {
    return Joined<S, std::make_index_sequence<kVirtualLanes / S::kLanes>>();
  }
}
template <class S>
using Virtual = decltype(virtual_vector<S>());

// How many virtual vectors make kInterleavedVectors real ones.
template <class S>
constexpr std::size_t interleaved_virtuals() {
  constexpr std::size_t kCount = kInterleavedVectors * S::kLanes / kVirtualLanes;
  return kCount > 0 ? kCount : 1;
}

// Sum and maximum of the 16 lanes, in every lane.
template <class S>
LOCKSTEP_INLINE typename S::V sum_of_lanes(typename S::V x) {
  x = S::add(x, S::template swap_lanes<8>(x));
  x = S::add(x, S::template swap_lanes<4>(x));
  x = S::add(x, S::template swap_lanes<2>(x));
  return S::add(x, S::template swap_lanes<1>(x));
}
template <class S>
LOCKSTEP_INLINE typename S::V max_of_lanes(typename S::V x) {
  x = S::max(x, S::template swap_lanes<8>(x));
  x = S::max(x, S::template swap_lanes<4>(x));
  x = S::max(x, S::template swap_lanes<2>(x));
  return S::max(x, S::template swap_lanes<1>(x));
}

// Rows first to first + kRows - 1, each held in one virtual vector.
template <class S, std::size_t kRows>
LOCKSTEP_INLINE void softmax_short_rows(const SoftmaxRows& s, std::size_t first) {
  using R = InterleavedVectors<Virtual<S>, kRows>;
  using V = typename R::V;
  const V x =
      R::load_rows(row_of(s.x, first, s.x_row_stride), s.x_row_stride, s.cols, kMinusInfinity);
  const V max = max_of_lanes<R>(x);
  const V e = bounded_exp<R>(R::sub(x, max));
  const V sum = sum_of_lanes<R>(e);
  if (s.y != nullptr) {
    const V y = R::mul(e, R::div(R::set(s.scale), sum));
    R::store_rows(y, row_of(s.y, first, s.y_row_stride), s.y_row_stride, s.cols);
  }
  if (s.max != nullptr) R::store_rows(max, s.max + first, 1, 1);
  if (s.sum != nullptr) R::store_rows(sum, s.sum + first, 1, 1);
}

template <class S>
LOCKSTEP_INLINE void softmax_short_rows(const SoftmaxRows& s) {
  constexpr std::size_t kRows = interleaved_virtuals<S>();
  std::size_t i = 0;
  for (; i + kRows <= s.rows; i += kRows) softmax_short_rows<S, kRows>(s, i);
  for (; i < s.rows; ++i) softmax_short_rows<S, 1>(s, i);
}

// Maximum, and exponentials with their sum, for vectors whose size is not known: the virtual lanes
// stay in memory.
template <class S>
  requires(S::kLanes == 0)
LOCKSTEP_INLINE float row_max(const float* x, std::size_t n) {
  typename S::V max = S::set(kMinusInfinity);
  for (std::size_t j = 0; j < n; j += S::lanes()) {
    const std::size_t count = n - j < S::lanes() ? n - j : S::lanes();
    max = S::max(max, S::load_n(x + j, count, kMinusInfinity));
  }
  float lane[kVirtualLanes];
  S::store(max, lane);
  float result = lane[0];
  for (std::size_t l = 1; l < S::lanes(); ++l) result = lane[l] > result ? lane[l] : result;
  return result;
}

template <class S, bool kStore>
  requires(S::kLanes == 0)
LOCKSTEP_INLINE float exp_and_sum(const float* x, float* y, std::size_t n, float max) {
  float lane[kVirtualLanes] = {};
  for (std::size_t j = 0; j < n; j += S::lanes()) {
    const std::size_t count = n - j < S::lanes() ? n - j : S::lanes();
    const typename S::V difference = S::sub(S::load_n(x + j, count, kMinusInfinity), S::set(max));
    const typename S::V e = bounded_exp<S>(difference);
    if constexpr (kStore) S::store_n(e, y + j, count);
    float* sum = lane + j % kVirtualLanes;
    S::store(S::add(S::load(sum), e), sum);
  }
  for (std::size_t width = kVirtualLanes / 2; width > 0; width /= 2) {
    for (std::size_t l = 0; l < width; ++l) lane[l] += lane[l + width];
  }
  return lane[0];
}

// For n >= 16: the last vector may overlap the one before.
template <class S>
LOCKSTEP_INLINE float row_max(const float* x, std::size_t n) {
  using R = Virtual<S>;
  using Several = InterleavedVectors<R, interleaved_virtuals<S>()>;
  typename R::V max = R::load(x + n - kVirtualLanes);
  std::size_t j = 0;
  if (n >= Several::kLanes) {
    typename Several::V each = Several::load(x);
    for (j = Several::kLanes; j + Several::kLanes <= n; j += Several::kLanes) {
      each = Several::max(each, Several::load(x + j));
    }
    max = R::max(max, Several::max_of_all(each));
  }
  for (; j + kVirtualLanes <= n; j += kVirtualLanes) max = R::max(max, R::load(x + j));
  float lane[kVirtualLanes];
  R::store(max_of_lanes<R>(max), lane);
  return lane[0];
}

// Rows that fill kCount virtual vectors, the last perhaps in part, and stay in registers. The
// maxima are found ahead, so that no exponential waits for its own row's.
template <class S, std::size_t kCount>
LOCKSTEP_INLINE void softmax_held_rows(const SoftmaxRows& s, std::size_t first, std::size_t last) {
  using R = Virtual<S>;
  using Begin = InterleavedVectors<R, kCount / 2>;
  using End = InterleavedVectors<R, kCount - kCount / 2>;
  float max[kSoftmaxGroup];
  for (std::size_t i = first; i < last; ++i) {
    max[i - first] = row_max<S>(row_of(s.x, i, s.x_row_stride), s.cols);
  }
  const std::size_t rest = s.cols - Begin::kLanes;
  for (std::size_t i = first; i < last; ++i) {
    const float* x = row_of(s.x, i, s.x_row_stride);
    const typename Begin::V a = Begin::load(x);
    const typename End::V b = End::load_row(x + Begin::kLanes, rest, kMinusInfinity);
    const typename Begin::V ea = bounded_exp<Begin>(Begin::sub(a, Begin::set(max[i - first])));
    const typename End::V eb = bounded_exp<End>(End::sub(b, End::set(max[i - first])));
    const typename R::V sum = sum_of_lanes<R>(End::add_all(Begin::add_all(R::zero(), ea), eb));
    if (s.y != nullptr) {
      float* y = row_of(s.y, i, s.y_row_stride);
      const typename R::V factor = R::div(R::set(s.scale), sum);
      Begin::store(Begin::mul(ea, Begin::repeat(factor)), y);
      End::store_row(End::mul(eb, End::repeat(factor)), y + Begin::kLanes, rest);
    }
    if (s.max != nullptr) s.max[i] = max[i - first];
    if (s.sum != nullptr) R::store_n(sum, s.sum + i, 1);
  }
}

template <class S, std::size_t kCount>
LOCKSTEP_INLINE void softmax_held_rows(const SoftmaxRows& s) {
  for (std::size_t i = 0; i < s.rows; i += kSoftmaxGroup) {
    softmax_held_rows<S, kCount>(s, i, s.rows - i < kSoftmaxGroup ? s.rows : i + kSoftmaxGroup);
  }
}

// Whether the rows are few enough vectors; then they are done.
template <class S, std::size_t... I>
LOCKSTEP_INLINE bool softmax_held_rows(const SoftmaxRows& s, std::index_sequence<I...>) {
  const std::size_t count = (s.cols + kVirtualLanes - 1) / kVirtualLanes;
  return ((count == I + 2 && (softmax_held_rows<S, I + 2>(s), true)) || ...);
}

// Few enough vectors that the exponential has the registers it needs.
template <class S>
LOCKSTEP_INLINE bool softmax_held_rows(const SoftmaxRows& s) {
  constexpr std::size_t kMost = kHeldVectors * S::kLanes / kVirtualLanes;
  return softmax_held_rows<S>(s, std::make_index_sequence<kMost - 1>());
}

// y = exp(x - max), if it is to be stored, and its sum.
template <class S, bool kStore>
LOCKSTEP_INLINE float exp_and_sum(const float* x, float* y, std::size_t n, float max) {
  using R = Virtual<S>;
  using Several = InterleavedVectors<R, interleaved_virtuals<S>()>;
  typename R::V sum = R::zero();
  std::size_t j = 0;
  for (; j + Several::kLanes <= n; j += Several::kLanes) {
    const auto e = bounded_exp<Several>(Several::sub(Several::load(x + j), Several::set(max)));
    if constexpr (kStore) Several::store(e, y + j);
    sum = Several::add_all(sum, e);
  }
  for (; j < n; j += kVirtualLanes) {
    const std::size_t count = n - j < kVirtualLanes ? n - j : kVirtualLanes;
    const auto e = bounded_exp<R>(R::sub(R::load_n(x + j, count, kMinusInfinity), R::set(max)));
    if constexpr (kStore) R::store_n(e, y + j, count);
    sum = R::add(sum, e);
  }
  float lane[kVirtualLanes];
  R::store(sum_of_lanes<R>(sum), lane);
  return lane[0];
}

// A long row would pass through the cache once for its maximum and again for its sum. So it is
// taken block by block, each relative to the maximum so far. (Nothing but -inf so far counts as 0,
// so that exp(x - max) is 0 and not NaN.)
template <class S>
LOCKSTEP_INLINE MaxAndSum statistics_of_blocks(const float* x, std::size_t n) {
  MaxAndSum so_far{kMinusInfinity, 0};
  for (std::size_t j = 0; j < n; j += kSoftmaxBlock) {
    const std::size_t count = n - j < kSoftmaxBlock ? n - j : kSoftmaxBlock;
    const float largest = row_max<S>(x + j, count);
    const float max = so_far.max > largest ? so_far.max : largest;
    const float shift = max == kMinusInfinity ? 0 : max;
    float factor = so_far.max - shift;
    map_array<S, Exp>(&factor, &factor, 1);
    const float sum = exp_and_sum<S, false>(x + j, nullptr, count, shift);
    so_far = {max, so_far.sum * factor + sum};
  }
  return so_far;
}

template <class S>
LOCKSTEP_INLINE void softmax_long_row(const SoftmaxRows& s, std::size_t row) {
  const float* x = row_of(s.x, row, s.x_row_stride);
  const MaxAndSum of_row = statistics_of_blocks<S>(x, s.cols);
  if (s.max != nullptr) s.max[row] = of_row.max;
  if (s.sum != nullptr) s.sum[row] = of_row.sum;
  if (s.y == nullptr) return;
  const ScaledExp f{of_row.max, s.scale / of_row.sum};
  for_each_vector<S>(f, x, row_of(s.y, row, s.y_row_stride), s.cols);
}

// Each step is done for all of the rows first to last - 1, so that the long latency of one row's
// reduction passes while the next is read.
template <class S>
LOCKSTEP_INLINE void softmax_row_group(const SoftmaxRows& s, std::size_t first, std::size_t last) {
  MaxAndSum of_row[kSoftmaxGroup];
  for (std::size_t i = first; i < last; ++i) {
    of_row[i - first].max = row_max<S>(row_of(s.x, i, s.x_row_stride), s.cols);
  }
  for (std::size_t i = first; i < last; ++i) {
    const float* x = row_of(s.x, i, s.x_row_stride);
    MaxAndSum& of = of_row[i - first];
    of.sum = s.y == nullptr
                 ? exp_and_sum<S, false>(x, nullptr, s.cols, of.max)
                 : exp_and_sum<S, true>(x, row_of(s.y, i, s.y_row_stride), s.cols, of.max);
  }
  for (std::size_t i = first; i < last; ++i) {
    const MaxAndSum& of = of_row[i - first];
    if (s.max != nullptr) s.max[i] = of.max;
    if (s.sum != nullptr) s.sum[i] = of.sum;
    if (s.y == nullptr) continue;
    float* y = row_of(s.y, i, s.y_row_stride);
    for_each_vector<S>(Multiply{s.scale / of.sum}, y, y, s.cols);
  }
}

template <class S>
void softmax_rows(const SoftmaxRows& s) {
  if constexpr (S::kLanes > 0) {
    if (s.cols <= kVirtualLanes) return softmax_short_rows<S>(s);
    if (softmax_held_rows<S>(s)) return;
  }
  if (s.cols > kSoftmaxBlock) {
    for (std::size_t i = 0; i < s.rows; ++i) softmax_long_row<S>(s, i);
    return;
  }
  // Few enough for the first-level cache.
  const std::size_t fit = kSoftmaxGroupSize / s.cols;
  const std::size_t group = fit < 1 ? 1 : fit < kSoftmaxGroup ? fit : kSoftmaxGroup;
  for (std::size_t i = 0; i < s.rows; i += group) {
    softmax_row_group<S>(s, i, s.rows - i < group ? s.rows : i + group);
  }
}

// Some rows at a time, so that the logarithms have a loop of their own, in which they overlap.
template <class S>
void log_softmax_rows(const SoftmaxRows& s) {
  float max[kLogSoftmaxRows];
  float sum[kLogSoftmaxRows];
  float log_sum[kLogSoftmaxRows];
  for (std::size_t first = 0; first < s.rows; first += kLogSoftmaxRows) {
    const std::size_t rows = s.rows - first < kLogSoftmaxRows ? s.rows - first : kLogSoftmaxRows;
    const float* x = row_of(s.x, first, s.x_row_stride);
    softmax_rows<S>({rows, s.cols, x, s.x_row_stride, nullptr, 0, max, sum});
    for (std::size_t i = 0; i < rows; ++i) {
      log_sum[i] = static_cast<float>(portable_log(static_cast<double>(sum[i])));
    }
    for (std::size_t i = 0; i < rows; ++i) {
      for_each_vector<S>(SubtractBoth{max[i], log_sum[i]}, row_of(x, i, s.x_row_stride),
                         row_of(s.y, first + i, s.y_row_stride), s.cols);
    }
  }
}
