// The vanilla cell: h = tanh(a), whose derivative is 1 - h^2. PyTorch's RNN, nonlinearity="tanh".
#include <cmath>

#include "cells/cell.h"

namespace lockstep {

const Cell kTanhCell{
    .name = "tanh",
    .fused = Epilogue::tanh,
    .fused_gradient = Epilogue::tanh_gradient,
    .define = [](double a) { return std::tanh(a); },
    .define_slope = [](double h) { return 1 - h * h; },
};

}  // namespace lockstep
