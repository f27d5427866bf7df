// The harness of the benchmarks: it times no wrong answer, and every suite runs on every backend.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "backend_scope.h"
#include "catch.h"
#include "harness.h"
#include "lockstep/rnn/gradient_check.h"
#include "lockstep/rnn/predict.h"
#include "lockstep/rnn/trainer.h"
#include "lockstep_contender.h"
#include "machine.h"
#include "oracle.h"
#include "peers/openblas_core.h"
#include "problems.h"
#include "suites.h"

namespace lockstep::bench {
namespace {

// Ourselves, but one number of each result is wrong: the one at `place` (0: first, 1: last).
class BrokenContender : public Contender {
 public:
  using Fault = float (*)(float);
  BrokenContender(Fault fault, double place)
      : real_(lockstep_contender(active_backend())), fault_(fault), place_(place) {}

  [[nodiscard]] std::string name() const override { return "broken"; }
  [[nodiscard]] std::string about() const override { return ""; }
  [[nodiscard]] bool offers(Kernel, int threads) const override { return threads == 1; }

  Task gemm(Kernel layout, const GemmOperands& o, int threads) override {
    return spoiled(real_->gemm(layout, o, threads), o.c, o.m * o.ldc);
  }
  Task gemm_batch(Kernel how, const BatchOperands& o, int threads) override {
    return spoiled(real_->gemm_batch(how, o, threads), o.first.c, o.count * o.stride_c);
  }
  Task elementwise(Kernel function, const float* x, float* y, std::size_t n) override {
    return spoiled(real_->elementwise(function, x, y, n), y, n);
  }
  Task softmax(Kernel kind, const RowsOperands& o) override {
    return spoiled(real_->softmax(kind, o), o.y, o.rows * o.cols);
  }
  Task loss(const RowsOperands& o) override {
    return spoiled(real_->loss(o), o.y, o.rows * o.cols);
  }
  Task update(Kernel optimizer, const UpdateOperands& o) override {
    return spoiled(real_->update(optimizer, o), o.weights, o.n);
  }
  PackTask pack(Kernel layout, std::size_t k, std::size_t n, const float* b) override {
    const PackTask task = real_->pack(layout, k, n, b);
    return {task.run, [=, this](std::size_t p, float* row) {
              task.unpack_row(p, row);
              spoil(row, n);
            }};
  }
  RnnTask rnn(Kernel pass, const RnnProblem& problem, int threads) override {
    const RnnTask task = real_->rnn(pass, problem, threads);
    return {task.run, [=, this] {
              RnnResults results = task.results();
              for (auto* part : {&results.final_states, &results.probabilities, &results.gradient,
                                 &results.updated}) {
                if (!part->empty()) spoil(part->data(), part->size());
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
  void spoil(float* result, std::size_t count) const {
    float& element = result[static_cast<std::size_t>(place_ * static_cast<double>(count - 1))];
    element = fault_(element);
  }
  [[nodiscard]] Task spoiled(const Task& task, float* result, std::size_t count) const {
    return [=, this] {
      task();
      spoil(result, count);
    };
  }

  std::unique_ptr<Contender> real_;
  Fault fault_;
  double place_;
};

// Sees nothing of the first timestep of each sequence, or of its first half.
class ForgetfulContender : public Contender {
 public:
  enum class Forgets { first, half };
  explicit ForgetfulContender(Forgets what) : what_(what) {}

  [[nodiscard]] std::string name() const override { return "forgetful"; }
  [[nodiscard]] std::string about() const override { return ""; }
  [[nodiscard]] bool offers(Kernel kernel, int) const override {
    return kernel == Kernel::rnn_forward || kernel == Kernel::rnn_backward;
  }
  RnnTask rnn(Kernel pass, const RnnProblem& p, int) override {
    Dataset rest(p.shape.d, p.data.class_names());
    for (std::size_t i = 0; i < p.data.size(); ++i) {
      const std::span<const float> values = p.data.sequence(i);
      const std::size_t missing = what_ == Forgets::first ? 1 : p.data.length(i) / 2;
      rest.add(values.subspan(missing * p.shape.d), p.data.label(i));
    }
    const auto results = std::make_shared<RnnResults>();
    return {[=, &p] {
              if (pass == Kernel::rnn_forward) {
                results->probabilities = predict_proba(p.parameters, rest, 1);
              } else {
                const Parameters g = fast_gradients(p.parameters, rest, {.threads = 1});
                results->gradient = recurrent_part(g.values(), p.parameters);
              }
            },
            [results] { return *results; }};
  }

 private:
  Forgets what_;
};

// Ourselves, but each kernel is another one.
class MistakenContender : public Contender {
 public:
  [[nodiscard]] std::string name() const override { return "mistaken"; }
  [[nodiscard]] std::string about() const override { return ""; }
  [[nodiscard]] bool offers(Kernel kernel, int threads) const override {
    return threads == 1 && other(kernel) != kernel;
  }
  Task gemm(Kernel layout, const GemmOperands& o, int threads) override {
    return real_->gemm(other(layout), o, threads);
  }
  Task elementwise(Kernel function, const float* x, float* y, std::size_t n) override {
    return real_->elementwise(other(function), x, y, n);
  }
  Task softmax(Kernel kind, const RowsOperands& o) override {
    return real_->softmax(other(kind), o);
  }

 private:
  static Kernel other(Kernel kernel) {
    switch (kernel) {
      case Kernel::gemm_alpha:
        return Kernel::gemm;
      case Kernel::tanh:
        return Kernel::sigmoid;
      case Kernel::sigmoid:
        return Kernel::exp;
      case Kernel::exp:
        return Kernel::relu;
      case Kernel::relu:
        return Kernel::tanh;
      case Kernel::softmax:
        return Kernel::log_softmax;
      case Kernel::log_softmax:
        return Kernel::softmax;
      default:
        return kernel;
    }
  }

  std::unique_ptr<Contender> real_ = lockstep_contender(active_backend());
};

// A right tanh by kernels of that number of lanes.
class NarrowContender : public Contender {
 public:
  explicit NarrowContender(std::size_t lanes) : lanes_(lanes) {}

  [[nodiscard]] std::string name() const override { return "narrow"; }
  [[nodiscard]] std::string about() const override { return ""; }
  [[nodiscard]] std::size_t lanes() const override { return lanes_; }
  [[nodiscard]] bool offers(Kernel kernel, int threads) const override {
    return threads == 1 && kernel == Kernel::tanh;
  }
  Task elementwise(Kernel function, const float* x, float* y, std::size_t n) override {
    return real_->elementwise(function, x, y, n);
  }

 private:
  std::size_t lanes_;
  std::unique_ptr<Contender> real_ = lockstep_contender(active_backend());
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
    for (const Run& run : runs) {
      refusals[run.benchmark_name()] = refusal(run);
      const auto lanes = run.counters.find("fallback_lanes");
      fallback_lanes.push_back(lanes == run.counters.end() ? 0 : lanes->second.value);
    }
  }

  std::map<std::string, std::string> refusals;  // by name; empty: was timed
  std::vector<double> fallback_lanes;           // 0: not counted
};

// One small shape of every suite.
constexpr const char* kSmall =
    "(gemm|gemm_packed|gemm_alpha)/.*/20x50x50/1/|gemm_tn/.*/50x50x1200/|"
    "gemm_(batch|loop)/.*/1000x7x15x17/1/|gemm_batch_nt/.*/200x20x50x50/1/|(tanh|exp|sigmoid|relu)/"
    ".*/4096/|"
    "(softmax|log_softmax|loss)/.*/64x10/|(pack|pack_tn)/.*/50x50/|"
    "update_(sgd|adamw|rmsprop)/.*/2860/|"
    "(rnn|lstm|gru)_(forward|backward|train)/.*/"
    "(20x18x12x64|20x29x12x64-ragged|20x60x1x50-denormal|20x29x12x2x64-bidirectional-ragged)/"
    "|rnn_fit";
constexpr const char* kSuites[] = {
    "gemm",           "gemm_packed", "gemm_tn",      "gemm_alpha",    "gemm_batch",  "gemm_loop",
    "gemm_batch_nt",  "tanh",        "exp",          "sigmoid",       "relu",        "softmax",
    "log_softmax",    "loss",        "pack",         "pack_tn",       "rnn_forward", "rnn_backward",
    "rnn_train",      "rnn_fit",     "gru_forward",  "gru_backward",  "update_sgd",  "update_adamw",
    "update_rmsprop", "gru_train",   "lstm_forward", "lstm_backward", "lstm_train"};

Collector collect(std::vector<Contender*> contenders, const char* names) {
  static const bool initialized = [] {
    static std::string program = "bench_test";
    static std::string min_time = "--benchmark_min_time=" LOCKSTEP_BENCH_MIN_TIME;
    char* argv[] = {program.data(), min_time.data(), nullptr};
    int argc = 2;
    benchmark::Initialize(&argc, argv);
    return true;
  }();
  REQUIRE(initialized);
  register_kernel_suites(contenders, {});
  register_rnn_suites(contenders, {});
  Collector collector;
  benchmark::RunSpecifiedBenchmarks(&collector, names);
  benchmark::ClearRegisteredBenchmarks();
  return collector;
}

std::map<std::string, std::string> run_cases(std::vector<Contender*> contenders,
                                             const char* names = kSmall) {
  return collect(std::move(contenders), names).refusals;
}

std::string suite_of(const std::string& name) { return name.substr(0, name.find('/')); }

TEST_CASE("a wrong answer is refused in every suite") {
  const BrokenContender::Fault fault = GENERATE(
      BrokenContender::Fault([](float x) { return 1.01f * x + 0.01f; }),
      BrokenContender::Fault([](float) { return std::numeric_limits<float>::quiet_NaN(); }));
  const double place = GENERATE(0.0, 0.4, 1.0);
  CAPTURE(place);
  BrokenContender broken(fault, place);
  std::set<std::string> suites;
  for (const auto& [name, why] : run_cases({&broken})) {
    CAPTURE(name, why);
    CHECK_THAT(why, ContainsSubstring("wrong result, not timed"));
    suites.insert(suite_of(name));
  }
  set_backend("");
  CHECK(suites == std::set<std::string>(std::begin(kSuites), std::end(kSuites)));
}

TEST_CASE("a contender that takes one kernel for another is refused") {
  MistakenContender mistaken;
  const auto refusals = run_cases({&mistaken}, ".*/(20x50x50|4096|64x10)/");
  CHECK(refusals.size() == 8);
  for (const auto& [name, why] : refusals) {
    CAPTURE(name, why);
    CHECK_THAT(why, ContainsSubstring("wrong result, not timed"));
  }
  set_backend("");
}

TEST_CASE("kernels of fewer lanes than the run allows are counted as a fallback") {
  const std::size_t widest = widest_lanes();
  for (const auto& [lanes, counted] : std::map<std::size_t, std::size_t>{
           {0, 0}, {widest / 2, widest / 2}, {widest, 0}, {2 * widest, 0}}) {
    CAPTURE(lanes);
    NarrowContender narrow(lanes);
    CHECK(collect({&narrow}, "tanh/.*/4096/").fallback_lanes ==
          std::vector{static_cast<double>(counted)});
  }
  set_backend("");
}

TEST_CASE("OpenBLAS is set to a core where its own has other vectors than the run allows") {
  CHECK(openblas_lanes("SkylakeX") == 16);
  CHECK(openblas_lanes("SAPPHIRERAPIDS") == 16);
  CHECK(openblas_lanes("Zen") == 8);
  CHECK(openblas_lanes("Sandybridge") == 4);
  CHECK(openblas_core_to_set("Prescott", 16, false) == "SkylakeX");
  CHECK(openblas_core_to_set("Zen", 16, true) == "SkylakeX");
  CHECK(openblas_core_to_set("Cooperlake", 16, false).empty());
  CHECK(openblas_core_to_set("Prescott", 8, false) == "Haswell");
  CHECK(openblas_core_to_set("SkylakeX", 8, true) == "Zen");
  CHECK(openblas_core_to_set("Haswell", 8, true).empty());
  CHECK(openblas_core_to_set("Nehalem", 4, false).empty());
}

TEST_CASE("a kernel that is not there is refused, never taken for another") {
  const auto ours = lockstep_contender(active_backend());
  const auto unknown = static_cast<Kernel>(1000);
  const std::vector<float> x = {1, 2};
  std::vector<float> y(2);
  const RowsOperands rows{1, 2, x.data(), y.data(), nullptr, nullptr};
  const GemmOperands product{1, 1, 1, x.data(), 1, x.data(), 1, y.data(), 1};
  CHECK_FALSE(ours->offers(unknown, 1));
  CHECK_THROWS_AS(ours->elementwise(Kernel::loss, x.data(), y.data(), 2), std::invalid_argument);
  CHECK_THROWS_AS(ours->softmax(Kernel::relu, rows), std::invalid_argument);
  CHECK_THROWS_AS(ours->gemm(unknown, product, 1), std::invalid_argument);
  CHECK_THROWS_AS(ours->gemm_batch(Kernel::gemm, {product, 1, 1, 1, 1}, 1), std::invalid_argument);
  CHECK_THROWS_AS(ours->pack(Kernel::gemm, 1, 1, x.data()), std::invalid_argument);
  CHECK_THROWS_AS(expected_elementwise(Kernel::loss, x), std::invalid_argument);
  CHECK_THROWS_AS(expected_rows(Kernel::relu, rows), std::invalid_argument);
  set_backend("");
}

TEST_CASE("a contender that skips timesteps is refused however long the sequences are") {
  using Forgets = ForgetfulContender::Forgets;
  ForgetfulContender forgetful(GENERATE(Forgets::first, Forgets::half));
  const auto refusals =
      run_cases({&forgetful},
                "_(forward|backward)/.*/"
                "(1x1000x16x64|20x29x12x64-ragged|20x29x12x2x64-bidirectional-ragged)/");
  CHECK(refusals.size() == 3 * 4 + 2 * 2);
  for (const auto& [name, why] : refusals) {
    CAPTURE(name, why);
    CHECK_THAT(why, ContainsSubstring("wrong result, not timed"));
  }
  set_backend("");
}

TEST_CASE("every suite runs on every backend that runs here") {
  for (const BackendInfo& b : backends()) {
    if (!b.runnable) continue;
    const auto contender = lockstep_contender(b);
    std::set<std::string> suites;
    for (const auto& [name, why] : run_cases({contender.get()})) {
      CAPTURE(name);
      CHECK(why.empty());
      CHECK(name.find("/" + std::string(b.name) + "/") != std::string::npos);
      suites.insert(suite_of(name));
    }
    CHECK(suites == std::set<std::string>(std::begin(kSuites), std::end(kSuites)));
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

TEST_CASE("a large minibatch repeats few sequences, each with its own results") {
  const RnnBenchShape shape = {24, 50, 64, 1024, kEqual, Run::full};
  const RnnProblem& p = rnn_problem(shape);
  set_backend("");
  CHECK(p.timesteps == 24 * 50);
  CHECK(std::ranges::equal(p.data.sequence(0), p.data.sequence(22)));
  CHECK(!std::ranges::equal(p.data.sequence(0), p.data.sequence(23)));
  CHECK(std::equal(p.probabilities.begin(), p.probabilities.begin() + kClasses,
                   p.probabilities.begin() + 22 * kClasses));
  CHECK(p.updated != recurrent_part(p.parameters.values(), p.parameters));
  CHECK(&rnn_problem(shape) == &p);
}

TEST_CASE("denormal inputs make denormal states, and the same problem otherwise") {
  const RnnProblem& p = rnn_problem({20, 20, 3, 17, kEqual, Run::full, kDenormal});
  const auto is_tiny = [](float v) { return std::abs(v) < 0x1p-126f; };
  for (std::size_t i = 0; i < p.data.size(); ++i) {
    CHECK(std::ranges::all_of(p.data.sequence(i), is_tiny));
    CHECK(std::ranges::any_of(p.data.sequence(i), [](float v) { return v != 0; }));
  }
  const std::span<const float> inner(p.gradient.data() + 17, p.gradient.size() - 17);
  CHECK(std::ranges::none_of(std::span(p.gradient).first(17), is_tiny));
  CHECK(std::ranges::all_of(p.final_states, is_tiny));
  CHECK(std::ranges::all_of(inner, is_tiny));
  CHECK(std::ranges::any_of(inner, [](float v) { return v != 0; }));
  CHECK(p.updated != recurrent_part(p.parameters.values(), p.parameters));
  CHECK(difference(std::vector<float>{0}, std::vector<float>{1e-39f}, kOfEach).empty());
  CHECK(&p != &rnn_problem({20, 20, 3, 17, kEqual, Run::full}));
}

TEST_CASE("ragged sequences have lengths from a quarter to all of the timesteps") {
  const RnnBenchShape small = {6, 5, 2, 3, kRagged, Run::full};
  const std::vector<std::size_t> lengths = {1, 2, 3, 4, 4, 5};
  for (std::size_t i = 0; i < lengths.size(); ++i) CHECK(sequence_length(small, i) == lengths[i]);
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
