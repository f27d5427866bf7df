// A product as it is asked for; its operands come with each run.
#pragma once

#include <cstddef>

#include "lockstep/gemm.h"

namespace lockstep {

struct Product {
  Transpose transpose_a = Transpose::no;
  Transpose transpose_b = Transpose::no;
  std::size_t m = 0;
  std::size_t n = 0;
  std::size_t k = 0;
  float alpha = 1;
  std::size_t lda = 0;
  std::size_t ldb = 0;
  float beta = 0;
  std::size_t ldc = 0;
  bool b_is_padded = false;  // rows of B are readable for whole vectors
};

// `b` is the first column that is multiplied; start and h may be null.
struct Operands {
  const float* a = nullptr;
  const float* b = nullptr;
  const float* start = nullptr;
  float* c = nullptr;
  const float* h = nullptr;
};

}  // namespace lockstep
