#include "lockstep/elementwise.h"

#include "dispatch.h"
#include "lockstep/detail/require.h"

namespace lockstep {
namespace {

// Checks the arrays and gives the backend to use.
const Backend& checked(const char* function, const float* x, const float* y, std::size_t n) {
  require((x != nullptr && y != nullptr) || n == 0, function, "x or y is null");
  return dispatch();
}

}  // namespace

void tanh(const float* x, float* y, std::size_t n) { checked("tanh", x, y, n).tanh(x, y, n); }

void exp(const float* x, float* y, std::size_t n) { checked("exp", x, y, n).exp(x, y, n); }

void sigmoid(const float* x, float* y, std::size_t n) {
  checked("sigmoid", x, y, n).sigmoid(x, y, n);
}

void relu(const float* x, float* y, std::size_t n) { checked("relu", x, y, n).relu(x, y, n); }

}  // namespace lockstep
