// Several vectors side by side, as a vector interface of its own.
//
// Included once per target, inside the namespace of that target. Each operation is done on all
// vectors before the next one begins. A function of one vector is a chain in which every step waits
// for the one before; written over Interleaved the same text becomes independent chains step by
// step, which is the order in which a core runs them best: its scheduler holds only a few dozen
// waiting operations. Not for vectors whose size the compiler does not know, since those can be no
// members.

template <class S, class Each>
struct Interleaved;

template <class S, std::size_t... I>
struct Interleaved<S, std::index_sequence<I...>> {
  struct V {
    typename S::V v[sizeof...(I)];
  };

  static constexpr std::size_t kLanes = sizeof...(I) * S::kLanes;
  static constexpr bool kHasScale = S::kHasScale;

  static constexpr std::size_t lanes() { return kLanes; }
  // How many of n elements belong to vector i.
  static LOCKSTEP_INLINE std::size_t part(std::size_t n, std::size_t i) {
    const std::size_t before = i * S::kLanes;
    if (n <= before) return 0;
    return n - before < S::kLanes ? n - before : S::kLanes;
  }

  static LOCKSTEP_INLINE V zero() { return {{(static_cast<void>(I), S::zero())...}}; }
  static LOCKSTEP_INLINE V set(float x) { return {{(static_cast<void>(I), S::set(x))...}}; }
  static LOCKSTEP_INLINE V load(const float* p) { return {{S::load(p + I * S::kLanes)...}}; }
  static LOCKSTEP_INLINE void store(V x, float* p) { (S::store(x.v[I], p + I * S::kLanes), ...); }
  static LOCKSTEP_INLINE V load_n(const float* p, std::size_t n, float fill) {
    return {{S::load_n(p + I * S::kLanes, part(n, I), fill)...}};
  }
  static LOCKSTEP_INLINE void store_n(V x, float* p, std::size_t n) {
    (S::store_n(x.v[I], p + I * S::kLanes, part(n, I)), ...);
  }

  static LOCKSTEP_INLINE V add(V a, V b) { return {{S::add(a.v[I], b.v[I])...}}; }
  static LOCKSTEP_INLINE V sub(V a, V b) { return {{S::sub(a.v[I], b.v[I])...}}; }
  static LOCKSTEP_INLINE V mul(V a, V b) { return {{S::mul(a.v[I], b.v[I])...}}; }
  static LOCKSTEP_INLINE V div(V a, V b) { return {{S::div(a.v[I], b.v[I])...}}; }
  static LOCKSTEP_INLINE V max(V a, V b) { return {{S::max(a.v[I], b.v[I])...}}; }
  static LOCKSTEP_INLINE V abs(V a) { return {{S::abs(a.v[I])...}}; }
  static LOCKSTEP_INLINE V fma(V a, V b, V c) { return {{S::fma(a.v[I], b.v[I], c.v[I])...}}; }
  static LOCKSTEP_INLINE V neg_fma(V a, V b, V c) {
    return {{S::neg_fma(a.v[I], b.v[I], c.v[I])...}};
  }
  static LOCKSTEP_INLINE V select_greater(V a, V b, V yes, V no) {
    return {{S::select_greater(a.v[I], b.v[I], yes.v[I], no.v[I])...}};
  }
  static LOCKSTEP_INLINE V at_most(V x, float limit) { return {{S::at_most(x.v[I], limit)...}}; }
  static LOCKSTEP_INLINE V at_least(V x, float limit) { return {{S::at_least(x.v[I], limit)...}}; }
  static LOCKSTEP_INLINE V copy_sign(V magnitude, V sign) {
    return {{S::copy_sign(magnitude.v[I], sign.v[I])...}};
  }
  // g++ would make a constant of the table and load it for each vector anew.
  static LOCKSTEP_INLINE V lookup(const LookupTable& table, V index) {
    const LookupTable* unknown = &table;
    asm("" : "+r"(unknown));
    return {{S::lookup(*unknown, index.v[I])...}};
  }
  static LOCKSTEP_INLINE V scale(V x, V exponent) { return {{S::scale(x.v[I], exponent.v[I])...}}; }

  template <int kBits>
  static LOCKSTEP_INLINE V shift_left(V x) {
    return {{S::template shift_left<kBits>(x.v[I])...}};
  }
  template <int kBits>
  static LOCKSTEP_INLINE V shift_right(V x) {
    return {{S::template shift_right<kBits>(x.v[I])...}};
  }
  static LOCKSTEP_INLINE V and_bits(V x, std::int32_t mask) {
    return {{S::and_bits(x.v[I], mask)...}};
  }
  static LOCKSTEP_INLINE V add_bits(V a, V b) { return {{S::add_bits(a.v[I], b.v[I])...}}; }
  static LOCKSTEP_INLINE V sub_bits(V a, V b) { return {{S::sub_bits(a.v[I], b.v[I])...}}; }
  template <std::size_t kDistance>
  static LOCKSTEP_INLINE V swap_lanes(V x) {
    return {{S::template swap_lanes<kDistance>(x.v[I])...}};
  }

  // One vector from each of several rows, `stride` floats apart: their first n elements.
  static LOCKSTEP_INLINE V load_rows(const float* p, std::ptrdiff_t stride, std::size_t n,
                                     float fill) {
    return {{S::load_n(p + static_cast<std::ptrdiff_t>(I) * stride, n, fill)...}};
  }
  static LOCKSTEP_INLINE void store_rows(V x, float* p, std::ptrdiff_t stride, std::size_t n) {
    (S::store_n(x.v[I], p + static_cast<std::ptrdiff_t>(I) * stride, n), ...);
  }

  // n elements of which only the last vector can lack some.
  static LOCKSTEP_INLINE V load_row(const float* p, std::size_t n, float fill) {
    return {{(I + 1 < sizeof...(I) ? S::load(p + I * S::kLanes)
                                   : S::load_n(p + I * S::kLanes, n - I * S::kLanes, fill))...}};
  }
  static LOCKSTEP_INLINE void store_row(V x, float* p, std::size_t n) {
    ((I + 1 < sizeof...(I) ? S::store(x.v[I], p + I * S::kLanes)
                           : S::store_n(x.v[I], p + I * S::kLanes, n - I * S::kLanes)),
     ...);
  }

  // The same vector in every place.
  static LOCKSTEP_INLINE V repeat(typename S::V x) { return {{(static_cast<void>(I), x)...}}; }

  // sum + x.v[0] + x.v[1] + ..., in this order; and the largest of all.
  static LOCKSTEP_INLINE typename S::V add_all(typename S::V sum, V x) {
    ((sum = S::add(sum, x.v[I])), ...);
    return sum;
  }
  static LOCKSTEP_INLINE typename S::V max_of_all(V x) {
    typename S::V largest = x.v[0];
    ((largest = S::max(largest, x.v[I])), ...);
    return largest;
  }
};

template <class S, std::size_t kCount>
using InterleavedVectors = Interleaved<S, std::make_index_sequence<kCount>>;

// The same vectors as one long one: exchanges of lanes go across them.
template <class S, class Each>
struct Joined;

template <class S, std::size_t... I>
struct Joined<S, std::index_sequence<I...>> : Interleaved<S, std::index_sequence<I...>> {
  using V = typename Interleaved<S, std::index_sequence<I...>>::V;
  template <std::size_t kDistance>
  static LOCKSTEP_INLINE V swap_lanes(V x) {
    if constexpr (kDistance >= S::kLanes) {
      return {{x.v[I ^ (kDistance / S::kLanes)]...}};
    } else {
      return {{S::template swap_lanes<kDistance>(x.v[I])...}};
    }
  }
};
