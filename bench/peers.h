#pragma once

#include <string>

#include "contender.h"

namespace lockstep::bench {

// Adds the contenders of every peer module that was built (LOCKSTEP_BENCH_PEERS), restricted to the
// given instruction set ("best" or "avx2") and ready for as many threads. A module that cannot be
// loaded is named on standard error and left out.
//
// Sets OPENBLAS_CORETYPE, unless the environment has it, where OpenBLAS takes kernels of another
// width by itself.
//
// Each peer is a module of its own, loaded with local symbols: OpenBLAS and BLIS both define
// cblas_sgemm, two versions of oneDNN define everything twice, and all of them read their
// environment variables when they are loaded.
void load_peers(Contenders& contenders, const std::string& isa, int threads);

}  // namespace lockstep::bench
