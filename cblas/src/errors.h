// What becomes of wrong arguments and of failures.
#pragma once

namespace lockstep::blas {

// To the `xerbla_` of the program or of another BLAS in it, if there is one that this library can
// see; otherwise to standard error. `routine` is a name in capitals.
void report_to_fortran(const char* routine, int position);

// The same with `cblas_xerbla`; `form` is printed with `value`.
void report_to_c(const char* routine, int position, const char* form, int value);

// Does the `cblas_xerbla` that is called take positions in column order, as netlib's does?
bool takes_positions_in_column_order();

// Inside a catch block: ends the program with the text of the exception.
[[noreturn]] void end_with_current_exception(const char* routine) noexcept;

}  // namespace lockstep::blas
