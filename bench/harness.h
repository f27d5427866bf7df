// How a case is named, verified, timed and counted: the same for every kernel and contender.
#pragma once

#include <benchmark/benchmark.h>

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "contender.h"

namespace lockstep::bench {

struct Case {
  Kernel kernel;
  Contender* contender;
  std::string shape;
  int threads = 1;
  bool cold = false;
  std::string_view cell = {};  // of a gated network: stands for rnn in the kernel's name
};

// <kernel>/<contender>/<shape>/<threads>[/cold]
std::string case_name(const Case& c);

// What one run of a task does, and what the machine could do at most.
struct Work {
  double flops = 0;      // as is customary, for the rate; 0: not counted
  double needed = 0;     // FLOP that are really done, for the share of peak; 0: the same
  double bytes = 0;      // read and written, as the algorithm needs them; likewise
  double timesteps = 0;  // of all sequences; likewise
  double elements = 0;   // likewise
  double limit = 0;      // of flops where these are counted, else of bytes, per second
};

// Limit and counts of a product, whose operands have so many bytes, and of work that moves memory.
Work product_work(const Case& c, double flops, double bytes);
Work memory_work(const Case& c, double bytes, double elements);

// Prepares the case (memory, operands), then hands it to verify_and_time.
using Body = std::function<void(benchmark::State&, const Case&)>;

// Registers a case if its contender offers it.
void register_case(const Case& c, const Body& body,
                   benchmark::TimeUnit unit = benchmark::kMicrosecond);

// Runs the first task and asks `check` for a difference from the reference; only a case without one
// is timed, over all tasks in turn, between two calibrations of the machine. A case is checked once
// in a process.
void verify_and_time(benchmark::State& state, const Case& c, std::span<const Task> tasks,
                     const std::function<std::string()>& check, const Work& work);

}  // namespace lockstep::bench
