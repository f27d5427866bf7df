#include "lockstep/elementwise.h"

#include "dispatch.h"

namespace lockstep {

void tanh(const float* x, float* y, std::size_t n) { dispatch().tanh(x, y, n); }

void exp(const float* x, float* y, std::size_t n) { dispatch().exp(x, y, n); }

}  // namespace lockstep
