// BLAS where memory runs out: it has no status, so the program ends in good order and says why.
#include <string>

#include "catch.h"
#include "process.h"

namespace lockstep {
namespace {

// Fails allocation number 1, 2, ... and all after it until none is left to fail.
void check_without_memory(const std::string& product, const std::string& routine) {
  int ended = 0;
  for (int number = 1;; ++number) {
    // OpenMP ends a program that has no memory for its threads.
    Process process({LOCKSTEP_FAULT_BLAS, product, std::to_string(number)}, {"OMP_NUM_THREADS=1"});
    const int code = process.wait();
    CAPTURE(product, number, process.out(), process.err());
    if (code == 0 && process.out() == "0\n") break;
    if (code == 0) continue;  // done without it
    REQUIRE(code == 1);
    REQUIRE(process.err() == "lockstep: " + routine + ": out of memory\n");
    ++ended;
  }
  CHECK(ended > 0);
}

TEST_CASE("without memory BLAS ends the program with a line") {
  check_without_memory("matrix", "cblas_sgemm");
  check_without_memory("vector", "cblas_sgemv");
}

}  // namespace
}  // namespace lockstep
