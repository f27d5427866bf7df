#include "harness.h"

#include <algorithm>
#include <exception>
#include <set>

#include "machine.h"

namespace lockstep::bench {
namespace {

// In the order of Kernel.
constexpr const char* kKernelNames[] = {
    "gemm",           "gemm_packed", "gemm_tn",      "gemm_alpha", "gemm_batch", "gemm_loop",
    "gemm_batch_nt",  "tanh",        "exp",          "sigmoid",    "relu",       "softmax",
    "log_softmax",    "loss",        "pack",         "pack_tn",    "update_sgd", "update_adamw",
    "update_rmsprop", "rnn_forward", "rnn_backward", "rnn_train",  "rnn_fit"};

std::string suite_name(const Case& c) {
  const std::string kernel = kKernelNames[static_cast<int>(c.kernel)];
  return c.cell.empty() ? kernel : std::string(c.cell) + kernel.substr(kernel.find('_'));
}

// Empty if the case is right; says so once and for all.
std::string wrong(const Case& c, const Task& first, const std::function<std::string()>& check) {
  static std::set<std::string> verified;
  const std::string name = case_name(c);
  if (verified.contains(name)) return {};
  first();
  std::string what = check();
  if (what.empty()) verified.insert(name);
  return what;
}

void count(benchmark::State& state, const Work& work) {
  const auto rate = [&](const char* name, double per_iteration) {
    if (per_iteration <= 0) return;
    state.counters[name] = {per_iteration, benchmark::Counter::kIsIterationInvariantRate};
  };
  rate("flops_per_second", work.flops);
  rate("bytes_per_second", work.bytes);
  rate("elements_per_second", work.elements);
  rate("timesteps_per_second", work.timesteps);
  const double done = work.needed > 0 ? work.needed : work.flops > 0 ? work.flops : work.bytes;
  if (work.limit > 0) rate("of_peak", done / work.limit);
}

// What the kernels of a contender have where the run allows more; else 0.
std::size_t fallback_lanes(const Contender& contender) {
  return contender.lanes() < widest_lanes() ? contender.lanes() : 0;
}

}  // namespace

std::string case_name(const Case& c) {
  return suite_name(c) + "/" + c.contender->name() + "/" + c.shape + "/" +
         std::to_string(c.threads) + (c.cold ? "/cold" : "");
}

Work product_work(const Case& c, double flops, double bytes) {
  const std::size_t own = c.contender->lanes();
  const std::size_t lanes = own == 0 ? widest_lanes() : std::min(own, widest_lanes());
  return {.flops = flops, .bytes = bytes, .limit = peak_flops(lanes, c.threads)};
}

Work memory_work(const Case& c, double bytes, double elements) {
  return {.bytes = bytes,
          .elements = elements,
          .limit = copy_bandwidth(static_cast<std::size_t>(bytes), c.threads)};
}

void register_case(const Case& c, const Body& body, benchmark::TimeUnit unit) {
  if (!c.contender->offers(c.kernel, c.threads)) return;
  const auto run = [c, body](benchmark::State& state) {
    try {
      body(state, c);
    } catch (const std::exception& error) {
      state.SkipWithError(error.what());
    }
  };
  benchmark::RegisterBenchmark(case_name(c).c_str(), run)->UseRealTime()->Unit(unit);
}

void verify_and_time(benchmark::State& state, const Case& c, std::span<const Task> tasks,
                     const std::function<std::string()>& check, const Work& work) {
  std::string what = wrong(c, tasks.front(), check);
  if (!what.empty()) {
    state.SkipWithError(("wrong result, not timed: " + what).c_str());
    return;
  }
  const double before = calibration_flops(c.threads);
  // A cold case begins with operands that were not just used.
  std::size_t next = c.cold ? 1 % tasks.size() : 0;
  if (c.cold) {
    empty_caches();
  } else {
    tasks.front()();
  }
  for (auto _ : state) {
    tasks[next]();
    benchmark::ClobberMemory();
    if (++next == tasks.size()) next = 0;
  }
  state.counters["calibration_flops_per_second"] = (before + calibration_flops(c.threads)) / 2;
  const std::size_t fallback = fallback_lanes(*c.contender);
  if (fallback > 0) state.counters["fallback_lanes"] = static_cast<double>(fallback);
  count(state, work);
  // What only several threads, or a warm cache, get wrong.
  const bool is_repeatable = c.kernel == Kernel::gemm || c.kernel == Kernel::gemm_packed ||
                             c.kernel == Kernel::gemm_batch || c.kernel == Kernel::gemm_loop ||
                             c.kernel == Kernel::gemm_batch_nt;
  if (is_repeatable && !c.cold) what = check();
  if (!what.empty()) state.SkipWithError(("wrong result after timing: " + what).c_str());
}

}  // namespace lockstep::bench
