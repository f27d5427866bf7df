#include "lockstep/gates.h"

#include "dispatch.h"
#include "lockstep/detail/require.h"

namespace lockstep {
namespace {

// A matrix of `count` rows of which `cols` floats are used.
void require_rows(const char* function, const float* p, std::size_t stride, std::size_t cols) {
  require(p != nullptr, function, "a matrix is null");
  require(stride >= cols, function, "a row stride is shorter than a row");
}

// Whether there is nothing to do; if there is, the gates are sound.
template <class Step>
bool is_empty(const char* function, const Step& s) {
  if (s.rows == 0 || s.units == 0) return true;
  require(s.gate_stride >= s.units, function, "gate_stride is shorter than a gate");
  require_rows(function, s.gates, s.ldg, 3 * s.gate_stride + s.units);
  return false;
}

}  // namespace

void lstm_forward(const LstmForward& s) {
  constexpr const char* kName = "lstm_forward";
  if (is_empty(kName, s)) return;
  require_rows(kName, s.c_before, s.ldc_before, s.units);
  require_rows(kName, s.c, s.ldc, s.units);
  require_rows(kName, s.h, s.ldh, s.units);
  dispatch().lstm_forward(s);
}

void lstm_backward(const LstmBackward& s) {
  constexpr const char* kName = "lstm_backward";
  if (is_empty(kName, s)) return;
  require_rows(kName, s.c_before, s.ldc_before, s.units);
  require_rows(kName, s.c, s.ldc, s.units);
  require_rows(kName, s.dh, s.lddh, s.units);
  require_rows(kName, s.dc, s.lddc, s.units);
  require_rows(kName, s.deltas, s.ldd, 3 * s.gate_stride + s.units);
  dispatch().lstm_backward(s);
}

void gru_forward(const GruForward& s) {
  constexpr const char* kName = "gru_forward";
  if (is_empty(kName, s)) return;
  require_rows(kName, s.h_before, s.ldh_before, s.units);
  require_rows(kName, s.h, s.ldh, s.units);
  dispatch().gru_forward(s);
}

void gru_backward(const GruBackward& s) {
  constexpr const char* kName = "gru_backward";
  if (is_empty(kName, s)) return;
  require_rows(kName, s.h_before, s.ldh_before, s.units);
  require_rows(kName, s.dh, s.lddh, s.units);
  require_rows(kName, s.deltas, s.ldd, 3 * s.gate_stride + s.units);
  dispatch().gru_backward(s);
}

}  // namespace lockstep
