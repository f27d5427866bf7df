// The matrix products, written once for every backend, and the table of all micro-kernels.
//
// Included once per target, inside the namespace of that target, after all other -inl.h. `S` is the
// vector interface of the backend. Vectors may have no size known to the compiler (SVE), so they
// are never put into arrays or classes: the accumulators of a tile are a parameter pack.

// The last vector of a tile's columns: it holds `count` of them, and is partial if they do not fill
// it. Where they fill at most half of a vector of S, its interface may be another, L, of vectors of
// half the length.
struct LastVector {
  std::size_t count;
  bool partial;
};

constexpr bool is_last(std::size_t vecs, std::size_t index) { return index % vecs + 1 == vecs; }

// The interface of accumulator kIndex of a tile of kVecs vectors per row.
template <class S, class L, std::size_t kVecs, std::size_t kIndex>
using InterfaceOf = std::conditional_t<is_last(kVecs, kIndex), L, S>;

template <class S, bool kPartial>
LOCKSTEP_INLINE typename S::V load_vector(const float* p, std::size_t count) {
  if constexpr (kPartial) return S::load_n(p, count);
  return S::load(p);
}

template <class S, bool kPartial>
LOCKSTEP_INLINE void store_vector(typename S::V x, float* p, std::size_t count) {
  if constexpr (kPartial) return S::store_n(x, p, count);
  S::store(x, p);
}

// Where the accumulators of a tile of kVecs vectors per row are in memory, one after another: a
// pointer that moves from row to row, since g++ would keep the addresses of all in registers.
template <class S, std::size_t kVecs, class T>
class Places {
 public:
  LOCKSTEP_INLINE Places(T* matrix, std::size_t first_row, std::ptrdiff_t row_stride)
      : row_(row_of(matrix, first_row, row_stride)), row_stride_(row_stride) {}

  // Called for kIndex = 0, 1, ... in turn.
  template <std::size_t kIndex>
  LOCKSTEP_INLINE T* next() {
    T* vector = row_ + kIndex % kVecs * S::lanes();
    if constexpr (is_last(kVecs, kIndex)) row_ += row_stride_;
    return vector;
  }

 private:
  T* row_;
  std::ptrdiff_t row_stride_;
};

template <class S, class L, bool kPartial, std::size_t kVecs, std::size_t... I, class... Acc>
LOCKSTEP_INLINE void load_start(const GemmStrip& g, std::size_t row, std::size_t last_count,
                                std::index_sequence<I...>, Acc&... acc) {
  Places<S, kVecs, const float> start(g.start, row, g.plan->start_row_stride);
  const float beta = g.plan->beta;
  ((acc = InterfaceOf<S, L, kVecs, I>::mul(
        InterfaceOf<S, L, kVecs, I>::set(beta),
        load_vector<InterfaceOf<S, L, kVecs, I>, (kPartial && is_last(kVecs, I))>(
            start.template next<I>(), last_count))),
   ...);
}

// `gradient` times the derivative of tanh where its value is h, which is 1 - h^2.
template <class S>
LOCKSTEP_INLINE typename S::V tanh_gradient(typename S::V gradient, typename S::V h) {
  return S::mul(gradient, S::neg_fma(h, h, S::set(1.0f)));
}

template <class S, class L, bool kPartial, std::size_t kVecs, std::size_t... I, class... Acc>
LOCKSTEP_INLINE void multiply_by_derivative(const GemmStrip& g, std::size_t row,
                                            std::size_t last_count, std::index_sequence<I...>,
                                            Acc&... acc) {
  Places<S, kVecs, const float> h(g.h, row, g.plan->h_row_stride);
  ((acc = tanh_gradient<InterfaceOf<S, L, kVecs, I>>(
        acc, load_vector<InterfaceOf<S, L, kVecs, I>, (kPartial && is_last(kVecs, I))>(
                 h.template next<I>(), last_count))),
   ...);
}

template <class S, class L, bool kPartial, std::size_t kVecs, std::size_t... I, class... Acc>
LOCKSTEP_INLINE void store_result(const GemmStrip& g, std::size_t row, std::size_t last_count,
                                  std::index_sequence<I...>, Acc... acc) {
  Places<S, kVecs, float> c(g.c, row, g.plan->c_row_stride);
  (store_vector<InterfaceOf<S, L, kVecs, I>, (kPartial && is_last(kVecs, I))>(
       acc, c.template next<I>(), last_count),
   ...);
}

// How a tile reads b.
enum class ReadB {
  whole,     // whole vectors
  fetching,  // whole vectors, and prefetches what Fetch says
  masked,    // the last vector under its mask, which is slower
};

// The vector of a row of b that accumulator kIndex takes.
template <class S, class L, ReadB kRead, std::size_t kVecs, std::size_t kIndex>
LOCKSTEP_INLINE auto b_vector(const float* b, std::ptrdiff_t panel_stride, std::size_t last_count) {
  constexpr std::size_t kVector = kIndex % kVecs;
  return load_vector<InterfaceOf<S, L, kVecs, kIndex>,
                     (kRead == ReadB::masked && is_last(kVecs, kIndex))>(
      row_of(b, kVector / S::kPanelVectors, panel_stride) + kVector % S::kPanelVectors * S::lanes(),
      last_count);
}

// An element of a, which is in all lanes, for an accumulator. (Half a vector is part of the whole
// one, which the other accumulators of the row need anyway.)
template <class S, class Interface>
LOCKSTEP_INLINE typename Interface::V a_vector(typename S::V a) {
  if constexpr (std::is_same_v<S, Interface>) {
    return a;
  } else {
    return S::lower_half(a);
  }
}

// Step kStep of four of a tile of one row, four of whose elements are in each 128 bits of `a`.
template <class S, class L, ReadB kRead, std::size_t kVecs, std::size_t kStep, std::size_t... I,
          class... Acc>
LOCKSTEP_INLINE void row_step(typename S::V a, const float* b, std::ptrdiff_t panel_stride,
                              std::size_t last_count, std::index_sequence<I...>, Acc&... acc) {
  const typename S::V a_p = S::template broadcast_of_four<kStep>(a);
  ((acc = InterfaceOf<S, L, kVecs, I>::fma(
        a_vector<S, InterfaceOf<S, L, kVecs, I>>(a_p),
        b_vector<S, L, kRead, kVecs, I>(b, panel_stride, last_count), acc)),
   ...);
}

// What a tile prefetches: lines of next_b at each step of k, a vector of the next tile's part of c
// every kStepsTogether, since all at once would keep its loads waiting, and its own rows of b.
struct Fetch {
  const float* line;
  std::ptrdiff_t stride;
  std::size_t lines;
  const float* c;
  std::size_t vectors_of_c;
  bool own_rows;

  [[nodiscard]] LOCKSTEP_INLINE bool b() const { return own_rows || lines > 0; }
};

// Before kStepsTogether steps of k, from `p` on.
template <class S, std::size_t kVecs>
LOCKSTEP_INLINE void prefetch_c(const GemmStrip& g, const Fetch& fetch, std::size_t p) {
  if (p >= fetch.vectors_of_c * kStepsTogether) return;
  const std::size_t vector = p / kStepsTogether;
  const float* c = row_of(fetch.c, vector / kVecs, g.plan->c_row_stride);
  __builtin_prefetch(c + vector % kVecs * S::lanes());
}

// Before each step of k, whose row is `b`. Those of several steps at once would keep loads waiting.
LOCKSTEP_INLINE void prefetch_b(Fetch& fetch, const float* b, std::ptrdiff_t b_k_stride) {
  if (fetch.own_rows) __builtin_prefetch(row_of(b, kRowsAhead, b_k_stride));
  if (fetch.lines == 0) return;
  for (std::size_t l = 0; l < fetch.lines; ++l) {
    __builtin_prefetch(fetch.line + l * kFloatsPerLine, /*rw=*/0, /*locality=*/2);
  }
  fetch.line += fetch.stride;
}

template <class S, class L, bool kPartial, std::size_t kVecs, std::size_t... I, class... Acc>
LOCKSTEP_INLINE void finish_tile(const GemmStrip& g, std::size_t row, std::size_t last_count,
                                 std::index_sequence<I...> each, Acc... acc) {
  if (g.plan->epilogue == Epilogue::tanh_gradient) {
    multiply_by_derivative<S, L, kPartial, kVecs>(g, row, last_count, each, acc...);
  }
  store_result<S, L, kPartial, kVecs>(g, row, last_count, each, acc...);
}

// In an unrolled loop S keeps acc in its register.
template <class S, bool kUnrolled>
LOCKSTEP_INLINE void accumulate(typename S::V a, typename S::V b, typename S::V& acc) {
  if constexpr (kUnrolled) {
    S::accumulate(a, b, acc);
  } else {
    acc = S::fma(a, b, acc);
  }
}

// One step of k. The compiler merges the equal loads and broadcasts, so each is in a register once.
template <class S, class L, ReadB kRead, bool kUnrolled, std::size_t kVecs, std::size_t... I,
          class... Acc>
LOCKSTEP_INLINE void tile_step(const float* a, const std::ptrdiff_t* row_offset, const float* b,
                               std::ptrdiff_t b_panel_stride, std::size_t last_count,
                               std::index_sequence<I...>, Acc&... acc) {
  (accumulate<InterfaceOf<S, L, kVecs, I>, kUnrolled>(
       a_vector<S, InterfaceOf<S, L, kVecs, I>>(S::set(a[row_offset[I / kVecs]])),
       b_vector<S, L, kRead, kVecs, I>(b, b_panel_stride, last_count), acc),
   ...);
}

// One register tile. Accumulator I of the pack is row I / kVecs, vector I % kVecs.
template <class S, class L, ReadB kRead, std::size_t kVecs, std::size_t... I, class... Acc>
LOCKSTEP_INLINE void gemm_tile(const GemmStrip& g, std::size_t row, LastVector last, Fetch fetch,
                               std::index_sequence<I...> each, Acc... acc) {
  if (g.start != nullptr && last.partial) {
    load_start<S, L, true, kVecs>(g, row, last.count, each, acc...);
  } else if (g.start != nullptr) {
    load_start<S, L, false, kVecs>(g, row, last.count, each, acc...);
  }
  const std::size_t k = g.plan->k;
  const std::ptrdiff_t a_row_stride = g.plan->a_row_stride;
  const std::ptrdiff_t a_k_stride = g.plan->a_k_stride;
  const std::ptrdiff_t b_k_stride = g.plan->b_k_stride;
  const std::ptrdiff_t b_panel_stride = g.plan->b_panel_stride;
  const float* a = row_of(g.a, row, a_row_stride);
  const float* b = g.b;
  std::size_t p = 0;
  if constexpr (S::kBroadcastsFour && sizeof...(I) == kVecs && kRead != ReadB::fetching) {
    // On x86 a row is bound by loads, of which a broadcast is one; a permutation is none.
    for (; a_k_stride == 1 && p + 4 <= k; p += 4, a += 4, b += 4 * b_k_stride) {
      const typename S::V four = S::load_four(a);
      row_step<S, L, kRead, kVecs, 0>(four, b, b_panel_stride, last.count, each, acc...);
      row_step<S, L, kRead, kVecs, 1>(four, b + b_k_stride, b_panel_stride, last.count, each,
                                      acc...);
      row_step<S, L, kRead, kVecs, 2>(four, b + 2 * b_k_stride, b_panel_stride, last.count, each,
                                      acc...);
      row_step<S, L, kRead, kVecs, 3>(four, b + 3 * b_k_stride, b_panel_stride, last.count, each,
                                      acc...);
    }
  }
  constexpr std::size_t kRows = sizeof...(I) / kVecs;
  constexpr bool kUnrolled = S::kUnrolls && kVecs == S::kPanelVectors && kRows == kTileRows;
  // Opaque, since g++ would otherwise compute the addresses of rows and steps anew or spill them.
  std::ptrdiff_t row_offset[kRows];
  for (std::size_t r = 0; r < kRows; ++r) {
    row_offset[r] = static_cast<std::ptrdiff_t>(r) * a_row_stride;
    if (kUnrolled && r > 0) asm("" : "+r"(row_offset[r]));
  }
  const auto step = [&]() __attribute__((always_inline)) {
    tile_step<S, L, kRead, kUnrolled, kVecs>(a, row_offset, b, b_panel_stride, last.count, each,
                                             acc...);
    a += a_k_stride;
    b += b_k_stride;
    if constexpr (kUnrolled) asm("" : "+r"(a), "+r"(b));
  };
  if constexpr (kRead == ReadB::fetching) {
    for (; p < k && (!kUnrolled || fetch.b()); ++p) {
      prefetch_b(fetch, b, b_k_stride);
      if (p % kStepsTogether == 0) prefetch_c<S, kVecs>(g, fetch, p);
      step();
    }
  }
  for (; kUnrolled && p + kStepsTogether <= k; p += kStepsTogether) {
    if constexpr (kRead == ReadB::fetching) prefetch_c<S, kVecs>(g, fetch, p);
#pragma GCC unroll kStepsTogether
    for (std::size_t i = 0; i < kStepsTogether; ++i) step();
  }
  for (; p < k; ++p) step();
  if (last.partial) {
    finish_tile<S, L, true, kVecs>(g, row, last.count, each, acc...);
  } else {
    finish_tile<S, L, false, kVecs>(g, row, last.count, each, acc...);
  }
}

template <class S, class L, ReadB kRead, std::size_t kVecs, std::size_t... I>
LOCKSTEP_INLINE void gemm_tile(const GemmStrip& g, std::size_t row, LastVector last, Fetch fetch,
                               std::index_sequence<I...> each) {
  gemm_tile<S, L, kRead, kVecs>(g, row, last, fetch, each, InterfaceOf<S, L, kVecs, I>::zero()...);
}

// Vectors of columns that a tile of kRows rows can take.
template <class S, std::size_t kRows>
inline constexpr std::size_t kMostVectorsOf =
    S::kPanelVectors * panels_at_once(kRows, S::kPanelVectors, 1);

// Rows that a single tile can take: more where each is a single vector. (Still more rows are cut
// into usual tiles, unless the plan says otherwise.)
template <class S, std::size_t kVecs>
inline constexpr std::size_t kMostRows = kVecs > kMostVectorsOf<S, 2> ? 1
                                         : kVecs > S::kPanelVectors   ? 2
                                         : kVecs > 1                  ? kTileRows
                                                                      : kHighTile* kTileRows;

// Lines that a row of next_b is in: one more where rows do not begin with a line.
LOCKSTEP_INLINE std::size_t lines_of_row(const GemmStrip& g) {
  const bool begins_line = g.plan->b_k_stride % static_cast<std::ptrdiff_t>(kFloatsPerLine) == 0 &&
                           reinterpret_cast<std::uintptr_t>(g.next_b) % (kFloatsPerLine * 4) == 0;
  return (g.cols + (begins_line ? 1 : 2) * (kFloatsPerLine - 1)) / kFloatsPerLine;
}

// Tiles of equal height, one below another, from `row` on.
struct TileRun {
  std::size_t row;
  std::size_t count;
};

// What is left for the tiles of a strip to prefetch: how many of them do, lines of each row of
// next_b, and whether c and the own rows of b.
struct Ahead {
  std::size_t tiles = 0;
  const float* line = nullptr;
  std::size_t lines = 0;
  std::size_t lines_per_tile = 0;
  bool c = false;
  bool own_rows = false;
};

// The first lines of the rows of a and c that a tile from `row` on has.
template <std::size_t kRows>
LOCKSTEP_INLINE void touch_pages(const GemmStrip& g, std::size_t row) {
  for (const std::size_t end = std::min(row + kRows, g.rows); row < end; ++row) {
    __builtin_prefetch(row_of(g.a, row, g.plan->a_row_stride));
    __builtin_prefetch(row_of(g.c, row, g.plan->c_row_stride));
  }
}

// The part of the tile of kRows rows at `row`.
template <std::size_t kRows, std::size_t kVecs>
LOCKSTEP_INLINE Fetch take_part(const GemmStrip& g, Ahead& ahead, std::size_t row) {
  const std::size_t next = row + kRows;
  if (g.touches_pages) touch_pages<kRows>(g, next);
  Fetch fetch{.line = ahead.line,
              .stride = g.plan->b_k_stride,
              .lines = std::min(ahead.lines_per_tile, ahead.lines),
              .c = next < g.rows ? row_of(g.c, next, g.plan->c_row_stride) : g.next_c,
              .vectors_of_c = 0,
              .own_rows = ahead.own_rows};
  if (ahead.c && fetch.c != nullptr) {
    fetch.vectors_of_c = (next < g.rows ? std::min(kRows, g.rows - next) : kRows) * kVecs;
  }
  ahead.line += fetch.lines * kFloatsPerLine;
  ahead.lines -= fetch.lines;
  return fetch;
}

template <class S, class L, ReadB kRead, std::size_t kRows, std::size_t kVecs>
LOCKSTEP_NOINLINE void gemm_tiles(const GemmStrip& g, TileRun run, LastVector last, Ahead& ahead) {
  for (; run.count > 0; --run.count, run.row += kRows) {
    Fetch fetch{};
    if constexpr (kRead == ReadB::fetching) fetch = take_part<kRows, kVecs>(g, ahead, run.row);
    gemm_tile<S, L, kRead, kVecs>(g, run.row, last, fetch,
                                  std::make_index_sequence<kRows * kVecs>());
  }
}

// Tiles of `height` rows, of which each up to kRows is an instance of its own.
template <class S, class L, ReadB kRead, std::size_t kVecs, std::size_t kRows = kMostRows<S, kVecs>>
LOCKSTEP_INLINE void gemm_tiles_of(std::size_t height, const GemmStrip& g, TileRun run,
                                   LastVector last, Ahead& ahead) {
  if (height == kRows) return gemm_tiles<S, L, kRead, kRows, kVecs>(g, run, last, ahead);
  // A tile that prefetches has at least kFewestFetchingRows rows.
  if constexpr (kRows > (kRead == ReadB::fetching ? kFewestFetchingRows : 1)) {
    gemm_tiles_of<S, L, kRead, kVecs, kRows - 1>(height, g, run, last, ahead);
  }
}

// What the tiles of a strip are to prefetch, if they can: the plain tile is faster.
LOCKSTEP_INLINE Ahead ahead_of(const GemmStrip& g, std::size_t tiles) {
  Ahead ahead;
  if (g.next_b != nullptr) {
    ahead.line = g.next_b;
    ahead.lines = lines_of_row(g);
    ahead.lines_per_tile = (ahead.lines + tiles - 1) / tiles;
  }
  // A strip of c that does not stay in the caches next to the core by itself.
  ahead.c =
      g.rows * static_cast<std::size_t>(g.plan->c_row_stride) * sizeof(float) > kFetchedBytesOfC;
  ahead.own_rows = static_cast<std::size_t>(g.plan->b_k_stride) * sizeof(float) >= kFarRow;
  if (ahead.c || ahead.own_rows || g.touches_pages) {
    ahead.tiles = tiles;
  } else if (ahead.lines > 0) {
    ahead.tiles = (ahead.lines + ahead.lines_per_tile - 1) / ahead.lines_per_tile;
  }
  return ahead;
}

template <class S, class L, ReadB kRead, std::size_t kVecs>
LOCKSTEP_INLINE void gemm_rows(const GemmStrip& g, LastVector last) {
  const bool is_one = g.rows <= kMostRows<S, kVecs>;
  const std::size_t each = kVecs == 1 && g.plan->high_tiles ? kMostRows<S, kVecs> : kTileRows;
  const std::size_t tiles = is_one ? 1 : (g.rows + each - 1) / each;
  const std::size_t height = is_one ? g.rows : (g.rows + tiles - 1) / tiles;
  const std::size_t low = tiles * height - g.rows;  // tiles that lack a row
  constexpr bool kCanFetch =
      kRead == ReadB::whole && std::is_same_v<S, L> && kVecs == S::kPanelVectors;
  Ahead ahead;
  if constexpr (kCanFetch) {
    if (g.rows >= kFewestFetchingRows) ahead = ahead_of(g, tiles);
  }
  const auto run = [&](std::size_t rows, TileRun some) {
    if constexpr (kCanFetch) {
      if (ahead.tiles > 0 && rows >= kFewestFetchingRows) {
        const TileRun first{some.row, std::min(ahead.tiles, some.count)};
        gemm_tiles_of<S, S, ReadB::fetching, kVecs>(rows, g, first, last, ahead);
        ahead.tiles -= first.count;
        some = {some.row + first.count * rows, some.count - first.count};
        if (some.count == 0) return;
      }
    }
    gemm_tiles_of<S, L, kRead, kVecs>(rows, g, some, last, ahead);
  };
  run(height, {0, tiles - low});
  if (low > 0) run(height - 1, {(tiles - low) * height, low});
}

template <class S, class L, std::size_t kVecs>
LOCKSTEP_INLINE void gemm_vectors(const GemmStrip& g, std::size_t last_count) {
  const LastVector last{last_count, last_count != L::lanes()};
  if constexpr (S::kMasks) {
    if (last.partial && !g.plan->b_is_padded) {
      return gemm_rows<S, L, ReadB::masked, kVecs>(g, last);
    }
  }
  gemm_rows<S, L, ReadB::whole, kVecs>(g, last);
}

template <class S, std::size_t kVecs>
LOCKSTEP_INLINE void gemm_vectors(const GemmStrip& g) {
  const std::size_t last_count = g.cols - (kVecs - 1) * S::lanes();
  if constexpr (!std::is_same_v<S, typename S::Half>) {
    if (last_count <= S::Half::lanes()) {
      return gemm_vectors<S, typename S::Half, kVecs>(g, last_count);
    }
  }
  gemm_vectors<S, S, kVecs>(g, last_count);
}

// For vecs from kFewest to kVecs.
template <class S, std::size_t kVecs, std::size_t kFewest>
LOCKSTEP_INLINE void gemm_strip_of(std::size_t vecs, const GemmStrip& g) {
  if constexpr (kVecs > kFewest) {
    if (vecs < kVecs) return gemm_strip_of<S, kVecs - 1, kFewest>(vecs, g);
  }
  gemm_vectors<S, kVecs>(g);
}

template <class S>
void gemm_strip(const GemmStrip& g) {
  const std::size_t vecs = (g.cols + S::lanes() - 1) / S::lanes();
  if constexpr (kMostVectorsOf<S, 1> > S::kPanelVectors) {
    if (vecs > S::kPanelVectors) {
      return gemm_strip_of<S, kMostVectorsOf<S, 1>, S::kPanelVectors + 1>(vecs, g);
    }
  }
  gemm_strip_of<S, S::kPanelVectors, 1>(vecs, g);
}

// One row times as many rows of b as there are `a`, along the rows as they are in memory.
template <class S, std::size_t... P, class... Broadcast>
LOCKSTEP_INLINE void gemv_rows(const GemmStrip& g, const float* b, const float* start, float beta,
                               std::index_sequence<P...>, Broadcast... a) {
  const std::size_t lanes = S::lanes();
  const auto row = [&](std::size_t p) {
    return b + static_cast<std::ptrdiff_t>(p) * g.plan->b_k_stride;
  };
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
LOCKSTEP_INLINE void gemv_rows(const GemmStrip& g, std::size_t p, std::index_sequence<P...> each) {
  const float* a = row_of(g.a, p, g.plan->a_k_stride);
  const float* b = row_of(g.b, p, g.plan->b_k_stride);
  gemv_rows<S>(g, b, p == 0 ? g.start : g.c, p == 0 ? g.plan->beta : 1.0f, each,
               S::set(*row_of(a, P, g.plan->a_k_stride))...);
}

template <class S>
void gemv_strip(const GemmStrip& g) {
  std::size_t p = 0;
  for (; p + kGemvRows <= g.plan->k; p += kGemvRows) {
    gemv_rows<S>(g, p, std::make_index_sequence<kGemvRows>());
  }
  if (p + kGemvFewRows <= g.plan->k) {
    gemv_rows<S>(g, p, std::make_index_sequence<kGemvFewRows>());
    p += kGemvFewRows;
  }
  for (; p < g.plan->k; ++p) gemv_rows<S>(g, p, std::make_index_sequence<1>());
}

template <class S, bool kScales>
LOCKSTEP_INLINE void copy_panels(const PanelRows& c) {
  const std::size_t width = S::kPanelVectors * S::lanes();
  for (std::size_t p = 0; p < c.rows; ++p) {
    const float* row = row_of(c.from, p, c.row_stride);
    if (c.ahead > 0 && p + c.ahead < c.rows) {
      const float* next = row_of(row, c.ahead, c.row_stride);
      for (std::size_t j = 0; j < c.panels * width; j += kFloatsPerLine) {
        __builtin_prefetch(next + j);
      }
    }
    float* to = c.to + p * width;
    for (std::size_t q = 0; q < c.panels; ++q, row += width, to += c.panel_stride) {
      for (std::size_t v = 0; v < S::kPanelVectors; ++v) {
        typename S::V x = S::load(row + v * S::lanes());
        if constexpr (kScales) x = S::mul(S::set(c.alpha), x);
        S::store(x, to + v * S::lanes());
      }
    }
  }
}

template <class S>
void copy_panels(const PanelRows& c) {
  if (c.alpha == 1.0f) return copy_panels<S, false>(c);
  copy_panels<S, true>(c);
}

template <class S>
Backend make_backend(const char* library, const char* target) {
  const std::size_t panel = S::kPanelVectors * S::lanes();
  return {.library = library,
          .target = target,
          .fused = S::kFused,
          .lanes = S::lanes(),
          .panel = panel,
          .panels_at_once = {panels_at_once(1, panel, S::lanes()),
                             panels_at_once(2, panel, S::lanes())},
          .exact_b = S::kMasks,
          .gemm_strip = gemm_strip<S>,
          .gemv_strip = gemv_strip<S>,
          .copy_panels = copy_panels<S>,
          .tanh = map_array<S, Tanh>,
          .tanh_rows = map_rows<S, Tanh>,
          .exp = map_array<S, Exp>,
          .sigmoid = map_array<S, Sigmoid>,
          .relu = map_array<S, Relu>,
          .softmax = softmax_rows<S>,
          .log_softmax = log_softmax_rows<S>,
          .lstm_forward = map_units<S, LstmForwardRow, LstmForward>,
          .lstm_backward = map_units<S, LstmBackwardRow, LstmBackward>,
          .gru_forward = map_units<S, GruForwardRow, GruForward>,
          .gru_backward = map_units<S, GruBackwardRow, GruBackward>};
}
