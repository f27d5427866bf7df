#pragma once

#include <benchmark/benchmark.h>

#include <string>

#include "lockstep/backend.h"

namespace lockstep {

// Registers the cases of one backend. Names: <kernel>/<backend>/<shape>[/<threads>].
void register_kernel_benchmarks(const std::string& backend);
void register_rnn_benchmarks(const std::string& backend);

// Work done per second, for the whole of the run.
inline benchmark::Counter rate(double per_iteration) {
  return {per_iteration, benchmark::Counter::kIsIterationInvariantRate};
}

}  // namespace lockstep
