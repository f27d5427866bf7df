// The micro-kernels over xsimd, for one architecture. Each <arch>.cc includes this once and is
// compiled with the flags of its architecture; everything but its table() has internal linkage, so
// that no other program part can be handed code that its CPU lacks.
#pragma once

#include <cstdint>
#include <limits>
#include <utility>

#include "lockstep/portable_math.h"
#include "microkernels.h"
#include "simd/constants.h"
#include "xsimd/vector.h"

namespace lockstep {
namespace {
// clang-format off: each builds on the one before
#include "simd/interleaved-inl.h"
#include "simd/math-inl.h"
#include "simd/arrays-inl.h"
#include "simd/softmax-inl.h"
#include "simd/kernels-inl.h"
// clang-format on

template <class Arch>
const Backend& xsimd_table(const char* target) {
  static const Backend backend = make_backend<XsimdVector<Arch>>("xsimd", target);
  return backend;
}
}  // namespace

}  // namespace lockstep
