// The micro-kernels over xsimd for one target, of which kernels/CMakeLists.txt writes a file that
// defines LOCKSTEP_TABLE, LOCKSTEP_NAME and LOCKSTEP_ARCH, a class of xsimd, and includes this. All
// but the table has internal linkage: no other part of a program may get code that its CPU lacks.
#pragma once

#include <cstdint>
#include <limits>
#include <utility>

#include "backends.h"
#include "lockstep/portable_math.h"
#include "simd/constants.h"
#include "xsimd/vector.h"

namespace lockstep {
namespace {
// clang-format off: each builds on the one before
#include "simd/interleaved-inl.h"
#include "simd/math-inl.h"
#include "simd/arrays-inl.h"
#include "simd/gates-inl.h"
#include "simd/softmax-inl.h"
#include "simd/kernels-inl.h"
// clang-format on

const Backend& table() {
  static const Backend backend = make_backend<XsimdVector<LOCKSTEP_ARCH>>("xsimd", LOCKSTEP_NAME);
  return backend;
}
}  // namespace

const BackendTable LOCKSTEP_TABLE = table;

}  // namespace lockstep
