#include "errors.h"

#include <dlfcn.h>

#include <array>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>

#include "lockstep-cblas/cblas.h"

// References, not definitions: a preloaded library that defined them would take the errors of every
// other BLAS and LAPACK in the program from the handlers that these have.
extern "C" {
[[gnu::weak]] void xerbla_(const char* routine, const int* position, std::size_t length);
#pragma weak cblas_xerbla
// While it is set, netlib's cblas_xerbla, and what replaces it in netlib's testers, makes a
// position in row order of one in column order.
[[gnu::weak]] extern int RowMajorStrg;  // NOLINT(readability-identifier-naming)
}

namespace lockstep::blas {
namespace {

// What has this name in the program: since this library was loaded, or since then in a library that
// shows its names to all (RTLD_GLOBAL). Null if nothing has.
template <class T>
T* find(T* since_load, const char* name) {
  if (since_load != nullptr) return since_load;
  void* const found = ::dlsym(RTLD_DEFAULT, name);
  if (found == nullptr)
    ::dlerror();  // the caller of BLAS must not find an error that is not its own
  return reinterpret_cast<T*>(found);
}

}  // namespace

void report_to_fortran(const char* routine, int position) {
  std::array<char, 7> name;  // six letters without the 0, as Fortran wants them
  std::snprintf(name.data(), name.size(), "%-6s", routine);
  if (const auto handler = find(xerbla_, "xerbla_")) {
    return handler(name.data(), &position, name.size() - 1);
  }
  std::fprintf(stderr, " ** On entry to %s parameter number %d had an illegal value\n", routine,
               position);
}

void report_to_c(const char* routine, int position, const char* form, int value) {
  if (const auto handler = find(cblas_xerbla, "cblas_xerbla")) {
    return handler(position, routine, form, value);
  }
  std::fprintf(stderr, "Parameter %d to routine %s was incorrect\n", position, routine);
  std::fprintf(stderr, form, value);
}

bool takes_positions_in_column_order() {
  const int* const is_set = find(&RowMajorStrg, "RowMajorStrg");
  return is_set != nullptr && *is_set != 0;
}

void end_with_current_exception(const char* routine) noexcept {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "lockstep: %s: out of memory\n", routine);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "lockstep: %s: %s\n", routine, error.what());
  }
  std::exit(EXIT_FAILURE);
}

}  // namespace lockstep::blas
