// The harness of the benchmarks: it times no wrong answer, and every suite runs on every backend.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "backend_scope.h"
#include "catch.h"
#include "harness.h"
#include "lockstep_contender.h"
#include "machine.h"
#include "problems.h"
#include "suites.h"

namespace lockstep::bench {
namespace {

// Ourselves, but one number of each result is wrong.
class BrokenContender : public Contender {
 public:
  using Fault = float (*)(float);
  explicit BrokenContender(Fault fault)
      : real_(lockstep_contender(active_backend())), fault_(fault) {}

  [[nodiscard]] std::string name() const override { return "broken"; }
  [[nodiscard]] std::string about() const override { return ""; }
  [[nodiscard]] bool offers(Kernel, int threads) const override { return threads == 1; }

  Task gemm(Kernel layout, const GemmOperands& o, int threads) override {
    return spoiled(real_->gemm(layout, o, threads), o.c + o.m * o.ldc - 1);
  }
  Task elementwise(Kernel function, const float* x, float* y, std::size_t n) override {
    return spoiled(real_->elementwise(function, x, y, n), y + n - 1);
  }
  Task softmax(const RowsOperands& o) override {
    return spoiled(real_->softmax(o), o.y + o.rows * o.cols - 1);
  }
  Task loss(const RowsOperands& o) override {
    return spoiled(real_->loss(o), o.y + o.rows * o.cols - 1);
  }
  PackTask pack(Kernel layout, std::size_t k, std::size_t n, const float* b) override {
    const PackTask task = real_->pack(layout, k, n, b);
    return {task.run, [=, fault = fault_](std::size_t p, float* row) {
              task.unpack_row(p, row);
              row[n - 1] = fault(row[n - 1]);
            }};
  }
  RnnTask rnn(Kernel pass, const RnnProblem& problem, int threads) override {
    const RnnTask task = real_->rnn(pass, problem, threads);
    return {task.run, [task, fault = fault_] {
              RnnResults results = task.results();
              for (auto* part : {&results.final_states, &results.probabilities, &results.gradient,
                                 &results.updated}) {
                if (!part->empty()) part->back() = fault(part->back());
              }
              return results;
            }};
  }
  FitTask fit(const Dataset& data, int threads) override {
    const FitTask task = real_->fit(data, threads);
    return {task.run, [task, fault = fault_] {
              return static_cast<double>(fault(static_cast<float>(task.loss())));
            }};
  }

 private:
  [[nodiscard]] Task spoiled(const Task& task, float* element) const {
    return [task, element, fault = fault_] {
      task();
      *element = fault(*element);
    };
  }

  std::unique_ptr<Contender> real_;
  Fault fault_;
};

// Why a run was refused; empty if it was timed. The field changed its name in Google Benchmark 1.8.
std::string refusal(const auto& run) {
  if constexpr (requires { run.error_occurred; }) {
    return run.error_occurred ? run.error_message : "";
  } else {
    return run.skipped ? run.skip_message : "";
  }
}

class Collector : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context&) override { return true; }
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) refusals[run.benchmark_name()] = refusal(run);
  }

  std::map<std::string, std::string> refusals;  // by name; empty: was timed
};

// One small shape of every kernel.
constexpr const char* kSmall =
    "(gemm|gemm_packed)/.*/20x50x50/1/|gemm_tn/.*/50x50x1200/|(tanh|exp)/.*/4096/|"
    "(softmax|loss)/.*/64x10/|(pack|pack_tn)/.*/50x50/|rnn_(forward|backward|train)/.*/"
    "(20x18x12x64|20x29x12x64-ragged)/|rnn_fit";
constexpr const char* kKernels[] = {
    "gemm", "gemm_packed", "gemm_tn",     "tanh",         "exp",       "softmax", "loss",
    "pack", "pack_tn",     "rnn_forward", "rnn_backward", "rnn_train", "rnn_fit"};

std::map<std::string, std::string> run_small_cases(std::vector<Contender*> contenders) {
  static const bool initialized = [] {
    std::string program = "bench_test";
    std::string min_time = "--benchmark_min_time=" LOCKSTEP_BENCH_MIN_TIME;
    char* argv[] = {program.data(), min_time.data(), nullptr};
    int argc = 2;
    benchmark::Initialize(&argc, argv);
    return true;
  }();
  REQUIRE(initialized);
  register_kernel_suites(contenders, {});
  register_rnn_suites(contenders, {});
  Collector collector;
  benchmark::RunSpecifiedBenchmarks(&collector, kSmall);
  benchmark::ClearRegisteredBenchmarks();
  return collector.refusals;
}

std::string kernel_of(const std::string& name) { return name.substr(0, name.find('/')); }

TEST_CASE("a wrong answer is refused in every suite") {
  const BrokenContender::Fault fault = GENERATE(
      BrokenContender::Fault([](float x) { return 1.01f * x + 0.01f; }),
      BrokenContender::Fault([](float) { return std::numeric_limits<float>::quiet_NaN(); }));
  BrokenContender broken(fault);
  std::set<std::string> kernels;
  for (const auto& [name, why] : run_small_cases({&broken})) {
    CAPTURE(name, why);
    CHECK_THAT(why, ContainsSubstring("wrong result, not timed"));
    kernels.insert(kernel_of(name));
  }
  set_backend("");
  CHECK(kernels == std::set<std::string>(std::begin(kKernels), std::end(kKernels)));
}

TEST_CASE("every suite runs on every backend that runs here") {
  for (const BackendInfo& b : backends()) {
    if (!b.runnable) continue;
    const auto contender = lockstep_contender(b);
    std::set<std::string> kernels;
    for (const auto& [name, why] : run_small_cases({contender.get()})) {
      CAPTURE(name);
      CHECK(why.empty());
      CHECK(name.find("/" + std::string(b.name) + "/") != std::string::npos);
      kernels.insert(kernel_of(name));
    }
    CHECK(kernels == std::set<std::string>(std::begin(kKernels), std::end(kKernels)));
  }
  set_backend("");
}

TEST_CASE("a difference is found wherever it is") {
  const std::vector<float> expected = {1, -100, 0.5f};
  CHECK(difference(expected, expected, kOfLargest).empty());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    std::vector<float> found = expected;
    found[i] += 2e-3f;  // twice what is allowed of the largest, 100
    CHECK_THAT(difference(found, expected, kOfLargest),
               ContainsSubstring("element " + std::to_string(i)));
    found[i] = std::numeric_limits<float>::quiet_NaN();
    CHECK(!difference(found, expected, kOfLargest).empty());
  }
  const std::vector<float> small_off = {1, -100, 0.5001f};
  CHECK(difference(small_off, expected, kOfLargest).empty());
  CHECK(!difference(small_off, expected, kOfEach).empty());
  CHECK(!difference(std::vector<float>{1}, expected, kOfLargest).empty());
}

TEST_CASE("a training problem repeats few sequences but checks every row") {
  const RnnBenchShape shape = {128, 50, 256, 512, kEqual, Run::full};
  const RnnBenchShape small = {6, 5, 2, 3, kRagged, Run::full};
  CHECK(sequence_length(shape, 17) == 50);
  CHECK(sequence_length(small, 0) == 1);
  CHECK(sequence_length(small, 5) == 5);
  const RnnProblem& p = rnn_problem(small);
  set_backend("");
  CHECK(p.timesteps == 1 + 2 + 3 + 4 + 4 + 5);
  CHECK(p.updated != p.parameters.recurrent);
  CHECK(&rnn_problem(small) == &p);
}

TEST_CASE("the machine's limits are sound") {
  // No figure is asserted: how fast a machine is is no property of the program.
  CHECK(peak_flops(widest_lanes(), 1) > 0);
  CHECK(copy_bandwidth(1024, 1) > 0);
  CHECK(copy_bandwidth(std::size_t{1} << 40, 1) > 0);
  CHECK(last_level_cache() > 0);
}

}  // namespace
}  // namespace lockstep::bench
