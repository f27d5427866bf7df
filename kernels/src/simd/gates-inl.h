// The gates of recurrent cells and their mirrors (lockstep/gates.h), written once for every
// backend.
//
// Included once per target, inside the namespace of that target, after arrays-inl.h. `W` is S or
// several of its vectors side by side; the operations on a unit are the same in either.

// Some units of a row: the vectors of kWhole are whole, of others the last can lack some of `count`
// elements.
template <class W, bool kWhole>
LOCKSTEP_INLINE typename W::V load_part(const float* p, std::size_t count) {
  if constexpr (kWhole) {
    return W::load(p);
  } else if constexpr (W::kLanes > 0) {
    return W::load_row(p, count, 0);
  } else {
    return W::load_n(p, count, 0);
  }
}

template <class W, bool kWhole>
LOCKSTEP_INLINE void store_part(typename W::V x, float* p, std::size_t count) {
  if constexpr (kWhole) {
    W::store(x, p);
  } else if constexpr (W::kLanes > 0) {
    W::store_row(x, p, count);
  } else {
    W::store_n(x, p, count);
  }
}

// The last units of a row, no more than kMost vectors hold, in as few as hold them.
template <class S, std::size_t kMost, class Step>
LOCKSTEP_NOINLINE void for_last_units(const Step& step, std::size_t j, std::size_t count) {
  if constexpr (kMost > 1) {
    if (count <= (kMost - 1) * S::kLanes) return for_last_units<S, kMost - 1>(step, j, count);
  }
  step.template run<InterleavedVectors<S, kMost>, false>(j, count);
}

// Runs step(W, whole, first unit, units) over the units of a row, several vectors at a time.
template <class S, class Step>
LOCKSTEP_INLINE void for_units(std::size_t units, const Step& step) {
  std::size_t j = 0;
  if constexpr (S::kLanes > 0) {
    using W = InterleavedVectors<S, Step::kVectors>;
    for (; j + W::kLanes <= units; j += W::kLanes) step.template run<W, true>(j, W::kLanes);
    if (j < units) for_last_units<S, Step::kVectors>(step, j, units - j);
  } else {  // the compiler does not know the size of a vector
    for (; j + S::lanes() <= units; j += S::lanes()) step.template run<S, true>(j, S::lanes());
    if (j < units) step.template run<S, false>(j, units - j);
  }
}

template <class W>
LOCKSTEP_INLINE typename W::V gate_of(typename W::V sum) {
  const typename W::V half = W::set(0.5f);
  return W::fma(Tanh().template apply<W>(W::mul(sum, half)), half, half);
}

// The derivatives of a gate and of tanh where their values are y: y - y^2 and 1 - y^2.
template <class W>
LOCKSTEP_INLINE typename W::V gate_slope(typename W::V y) {
  return W::neg_fma(y, y, y);
}
template <class W>
LOCKSTEP_INLINE typename W::V tanh_slope(typename W::V y) {
  return W::neg_fma(y, y, W::set(1.0f));
}

// NOLINTBEGIN(modernize-use-nodiscard)
struct LstmForwardRow {
  static constexpr std::size_t kVectors = kGateVectors;
  const LstmForward& s;
  std::size_t row;

  template <class W, bool kWhole>
  LOCKSTEP_INLINE void run(std::size_t j, std::size_t count) const {
    using V = typename W::V;
    float* gates = s.gates + row * s.ldg + j;
    const V i = gate_of<W>(load_part<W, kWhole>(gates, count));
    const V f = gate_of<W>(load_part<W, kWhole>(gates + s.gate_stride, count));
    const V g = Tanh().template apply<W>(load_part<W, kWhole>(gates + 2 * s.gate_stride, count));
    const V o = gate_of<W>(load_part<W, kWhole>(gates + 3 * s.gate_stride, count));
    const V c_before = load_part<W, kWhole>(s.c_before + row * s.ldc_before + j, count);
    const V c = W::fma(f, c_before, W::mul(i, g));
    store_part<W, kWhole>(i, gates, count);
    store_part<W, kWhole>(f, gates + s.gate_stride, count);
    store_part<W, kWhole>(g, gates + 2 * s.gate_stride, count);
    store_part<W, kWhole>(o, gates + 3 * s.gate_stride, count);
    store_part<W, kWhole>(c, s.c + row * s.ldc + j, count);
    const V h = W::mul(o, Tanh().template apply<W>(c));
    store_part<W, kWhole>(h, s.h + row * s.ldh + j, count);
  }
};

struct LstmBackwardRow {
  static constexpr std::size_t kVectors = kGateVectorsBack;
  const LstmBackward& s;
  std::size_t row;

  template <class W, bool kWhole>
  LOCKSTEP_INLINE void run(std::size_t j, std::size_t count) const {
    using V = typename W::V;
    const float* gates = s.gates + row * s.ldg + j;
    const V i = load_part<W, kWhole>(gates, count);
    const V f = load_part<W, kWhole>(gates + s.gate_stride, count);
    const V g = load_part<W, kWhole>(gates + 2 * s.gate_stride, count);
    const V o = load_part<W, kWhole>(gates + 3 * s.gate_stride, count);
    const V c_before = load_part<W, kWhole>(s.c_before + row * s.ldc_before + j, count);
    const V c = load_part<W, kWhole>(s.c + row * s.ldc + j, count);
    const V dh = load_part<W, kWhole>(s.dh + row * s.lddh + j, count);
    float* dc_place = s.dc + row * s.lddc + j;
    const V t = Tanh().template apply<W>(c);
    const V dc = W::fma(W::mul(dh, o), tanh_slope<W>(t), load_part<W, kWhole>(dc_place, count));
    float* deltas = s.deltas + row * s.ldd + j;
    store_part<W, kWhole>(W::mul(W::mul(dc, g), gate_slope<W>(i)), deltas, count);
    store_part<W, kWhole>(W::mul(W::mul(dc, c_before), gate_slope<W>(f)), deltas + s.gate_stride,
                          count);
    store_part<W, kWhole>(W::mul(W::mul(dc, i), tanh_slope<W>(g)), deltas + 2 * s.gate_stride,
                          count);
    store_part<W, kWhole>(W::mul(W::mul(dh, t), gate_slope<W>(o)), deltas + 3 * s.gate_stride,
                          count);
    store_part<W, kWhole>(W::mul(dc, f), dc_place, count);
  }
};

struct GruForwardRow {
  static constexpr std::size_t kVectors = kGateVectors;
  const GruForward& s;
  std::size_t row;

  template <class W, bool kWhole>
  LOCKSTEP_INLINE void run(std::size_t j, std::size_t count) const {
    using V = typename W::V;
    float* gates = s.gates + row * s.ldg + j;
    const V r = gate_of<W>(load_part<W, kWhole>(gates + s.gate_stride, count));
    const V z = gate_of<W>(load_part<W, kWhole>(gates + 2 * s.gate_stride, count));
    const V n =
        Tanh().template apply<W>(W::fma(r, load_part<W, kWhole>(gates + 3 * s.gate_stride, count),
                                        load_part<W, kWhole>(gates, count)));
    const V h_before = load_part<W, kWhole>(s.h_before + row * s.ldh_before + j, count);
    store_part<W, kWhole>(n, gates, count);
    store_part<W, kWhole>(r, gates + s.gate_stride, count);
    store_part<W, kWhole>(z, gates + 2 * s.gate_stride, count);
    const V h = W::fma(z, W::sub(h_before, n), n);
    store_part<W, kWhole>(h, s.h + row * s.ldh + j, count);
  }
};

struct GruBackwardRow {
  static constexpr std::size_t kVectors = kGateVectorsBack;
  const GruBackward& s;
  std::size_t row;

  template <class W, bool kWhole>
  LOCKSTEP_INLINE void run(std::size_t j, std::size_t count) const {
    using V = typename W::V;
    const float* gates = s.gates + row * s.ldg + j;
    const V n = load_part<W, kWhole>(gates, count);
    const V r = load_part<W, kWhole>(gates + s.gate_stride, count);
    const V z = load_part<W, kWhole>(gates + 2 * s.gate_stride, count);
    const V n_h = load_part<W, kWhole>(gates + 3 * s.gate_stride, count);
    const V h_before = load_part<W, kWhole>(s.h_before + row * s.ldh_before + j, count);
    float* dh_place = s.dh + row * s.lddh + j;
    const V dh = load_part<W, kWhole>(dh_place, count);
    const V dz = W::mul(W::mul(dh, W::sub(h_before, n)), gate_slope<W>(z));
    const V dn = W::mul(W::mul(dh, W::sub(W::set(1.0f), z)), tanh_slope<W>(n));
    float* deltas = s.deltas + row * s.ldd + j;
    store_part<W, kWhole>(dn, deltas, count);
    store_part<W, kWhole>(W::mul(W::mul(dn, n_h), gate_slope<W>(r)), deltas + s.gate_stride, count);
    store_part<W, kWhole>(dz, deltas + 2 * s.gate_stride, count);
    store_part<W, kWhole>(W::mul(dn, r), deltas + 3 * s.gate_stride, count);
    store_part<W, kWhole>(W::mul(dh, z), dh_place, count);
  }
};
// NOLINTEND(modernize-use-nodiscard)

template <class S, class Row, class Timestep>
void map_units(const Timestep& s) {
  for (std::size_t row = 0; row < s.rows; ++row) for_units<S>(s.units, Row{s, row});
}
