#pragma once

#include <cstddef>

#include "lockstep/gemm.h"

namespace lockstep {

// Copies `cols` columns (the first at `b` for a plain matrix, the first row at `b` for a transposed
// one) of k rows of op(B), times alpha, into panels one after another: each k rows of `width`
// floats, the last zero beyond `cols`.
void pack_panels(Transpose transpose, std::size_t k, std::size_t cols, float alpha, const float* b,
                 std::size_t ldb, std::size_t width, float* panels);

}  // namespace lockstep
