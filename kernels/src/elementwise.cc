#include "lockstep/elementwise.h"

#include "dispatch.h"

namespace lockstep {

void tanh(const float* x, float* y, std::size_t n) { dispatch().tanh(x, y, n); }

void exp(const float* x, float* y, std::size_t n) { dispatch().exp(x, y, n); }

void sigmoid(const float* x, float* y, std::size_t n) { dispatch().sigmoid(x, y, n); }

void relu(const float* x, float* y, std::size_t n) { dispatch().relu(x, y, n); }

}  // namespace lockstep
