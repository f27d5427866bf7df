// What the kernels compute by definition: plain loops in double precision, which use nothing of
// Lockstep and know no contender.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "contender.h"

namespace lockstep::bench {

// Row `row` of the product that a suite of products computes, of what is in C before.
std::vector<float> expected_product_row(Kernel layout, const GemmOperands& o, std::size_t row);

// Throws std::invalid_argument if the kernel is no elementwise function.
std::vector<float> expected_elementwise(Kernel function, std::span<const float> x);

// Every row of softmax or log_softmax; of the loss the gradients, then the losses of all rows.
// Throws std::invalid_argument if the kernel is none of these.
std::vector<float> expected_rows(Kernel kind, const RowsOperands& o);

// Weights after the first step of an optimizer; see UpdateOperands.
std::vector<float> expected_update(Kernel optimizer, std::span<const float> weights,
                                   std::span<const float> gradient);

}  // namespace lockstep::bench
