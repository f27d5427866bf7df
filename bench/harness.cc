#include "harness.h"

#include <exception>
#include <set>

#include "machine.h"

namespace lockstep::bench {
namespace {

const char* kernel_name(Kernel kernel) {
  switch (kernel) {
    case Kernel::gemm:
      return "gemm";
    case Kernel::gemm_packed:
      return "gemm_packed";
    case Kernel::gemm_tn:
      return "gemm_tn";
    case Kernel::tanh:
      return "tanh";
    case Kernel::exp:
      return "exp";
    case Kernel::softmax:
      return "softmax";
    case Kernel::loss:
      return "loss";
    case Kernel::pack:
      return "pack";
    case Kernel::pack_tn:
      return "pack_tn";
    case Kernel::rnn_forward:
      return "rnn_forward";
    case Kernel::rnn_backward:
      return "rnn_backward";
    case Kernel::rnn_train:
      return "rnn_train";
    case Kernel::rnn_fit:
      return "rnn_fit";
  }
  return "";
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
  if (work.limit > 0) rate("of_peak", (work.flops > 0 ? work.flops : work.bytes) / work.limit);
}

}  // namespace

std::string case_name(const Case& c) {
  return std::string(kernel_name(c.kernel)) + "/" + c.contender->name() + "/" + c.shape + "/" +
         std::to_string(c.threads) + (c.cold ? "/cold" : "");
}

Work product_work(const Case& c, double flops) {
  const std::size_t lanes = c.contender->lanes() == 0 ? widest_lanes() : c.contender->lanes();
  return {.flops = flops, .limit = peak_flops(lanes, c.threads)};
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
  const std::string what = wrong(c, tasks.front(), check);
  if (!what.empty()) {
    state.SkipWithError(("wrong result, not timed: " + what).c_str());
    return;
  }
  std::size_t next = 0;
  for (auto _ : state) {
    tasks[next]();
    benchmark::ClobberMemory();
    if (++next == tasks.size()) next = 0;
  }
  count(state, work);
}

}  // namespace lockstep::bench
