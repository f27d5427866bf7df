// Functions of arrays, element by element, written once for every backend.
//
// Included once per target, inside the namespace of that target, after math-inl.h.

// NOLINTBEGIN(modernize-use-nodiscard)
// What is done to each vector; operands that are the same for all elements are members.
struct Tanh {
  template <class S>
  LOCKSTEP_INLINE typename S::V apply(typename S::V x) const {
    return tanh<S>(x);
  }
};
struct Exp {
  template <class S>
  LOCKSTEP_INLINE typename S::V apply(typename S::V x) const {
    return exp<S>(x);
  }
};
struct Sigmoid {
  template <class S>
  LOCKSTEP_INLINE typename S::V apply(typename S::V x) const {
    return sigmoid<S>(x);
  }
};
struct Relu {
  template <class S>
  LOCKSTEP_INLINE typename S::V apply(typename S::V x) const {
    return relu<S>(x);
  }
};
// NOLINTEND(modernize-use-nodiscard)

// How many vectors a loop works on at a time: enough chains to fill the gaps of each other. 1 where
// the compiler does not know the size of a vector.
template <class S>
constexpr std::size_t interleaved_vectors() {
  return S::kLanes > 0 ? kInterleavedVectors : 1;
}

template <class S, class Function>
LOCKSTEP_INLINE std::size_t for_each_whole(const Function& f, const float* x, float* y,
                                           std::size_t i, std::size_t n) {
  for (; i + S::lanes() <= n; i += S::lanes()) {
    S::store(f.template apply<S>(S::load(x + i)), y + i);
  }
  return i;
}

// A tail is a masked vector through the same function: a result never depends on its position.
template <class S, class Function>
LOCKSTEP_INLINE void for_each_vector(const Function& f, const float* x, float* y, std::size_t n) {
  std::size_t i = 0;
  if constexpr (interleaved_vectors<S>() > 1) {
    i = for_each_whole<InterleavedVectors<S, interleaved_vectors<S>()>>(f, x, y, i, n);
  }
  i = for_each_whole<S>(f, x, y, i, n);
  if (i < n) S::store_n(f.template apply<S>(S::load_n(x + i, n - i)), y + i, n - i);
}

template <class S, class Function>
void map_array(const float* x, float* y, std::size_t n) {
  for_each_vector<S>(Function(), x, y, n);
}
