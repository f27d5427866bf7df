// lockstep_bench: every kernel and the training step on every backend that this machine can run.
#include <benchmark/benchmark.h>

#include "lockstep/threads.h"
#include "suites.h"

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  const lockstep::ThreadChoice& threads = lockstep::default_threads();
  benchmark::AddCustomContext("default_threads",
                              std::to_string(threads.count) + ", " + threads.reason);
  benchmark::AddCustomContext("default_backend", std::string(lockstep::active_backend().name));
  for (const lockstep::BackendInfo& b : lockstep::backends()) {
    if (!b.runnable) continue;
    lockstep::register_kernel_benchmarks(std::string(b.name));
    lockstep::register_rnn_benchmarks(std::string(b.name));
  }
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
