// Products in blocks of rows, columns and k.
#pragma once

#include "gemm/chain.h"
#include "gemm/path.h"
#include "lockstep/range.h"

namespace lockstep {

// What the strips of a product have in common, B being read and copied as `choice` says.
inline StripPlan plan_strips(const Product& product, const Backend& backend, const Choice& choice) {
  const auto depth = static_cast<std::ptrdiff_t>(choice.depth);
  const auto panel = static_cast<std::ptrdiff_t>(backend.panel);
  const auto lda = static_cast<std::ptrdiff_t>(product.lda);
  const auto ldc = static_cast<std::ptrdiff_t>(product.ldc);
  const bool plain_a = product.transpose_a == Transpose::no;
  return {.k = product.k,
          .a_row_stride = choice.copies_a ? depth
                          : plain_a       ? lda
                                          : 1,
          .a_k_stride = choice.copies_a || plain_a ? 1 : lda,
          .b_k_stride = choice.copies_b ? panel : static_cast<std::ptrdiff_t>(product.ldb),
          .b_panel_stride = choice.copies_b ? depth * panel : panel,
          .b_is_padded = choice.copies_b || product.b_is_padded,
          .start_row_stride = ldc,
          .beta = product.beta,
          .c_row_stride = ldc,
          .epilogue = Epilogue::none,
          .h_row_stride = 0,
          .high_tiles = blocking().high_tiles};
}

// Rows [rows.begin, rows.end) by panels [panels.begin, panels.end) of C, on this thread.
void multiply_blocked(const Product& product, const Backend& backend, const Choice& choice,
                      const Operands& operands, Range rows, Range panels);

}  // namespace lockstep
