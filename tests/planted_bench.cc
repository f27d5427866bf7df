// Ourselves with a slow-down planted in one kernel: what the self-test of `./dev bench compare`
// measures. LOCKSTEP_PLANTED=1.10 makes tanh do a tenth more work than it need do; without it this
// is lockstep_bench on one backend and one thread.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <iostream>
#include <string>

#include "lockstep/backend.h"
#include "lockstep_contender.h"
#include "machine.h"
#include "suites.h"

namespace lockstep::bench {
namespace {

class PlantedContender : public Contender {
 public:
  explicit PlantedContender(double factor)
      : real_(lockstep_contender(active_backend())), factor_(factor) {}

  [[nodiscard]] std::string name() const override { return real_->name(); }
  [[nodiscard]] std::string about() const override { return real_->about(); }
  [[nodiscard]] std::size_t lanes() const override { return real_->lanes(); }
  [[nodiscard]] bool offers(Kernel kernel, int threads) const override {
    return real_->offers(kernel, threads);
  }

  Task gemm(Kernel layout, const GemmOperands& o, int threads) override {
    return real_->gemm(layout, o, threads);
  }
  // The first elements once more.
  Task elementwise(Kernel function, const float* x, float* y, std::size_t n) override {
    const Task whole = real_->elementwise(function, x, y, n);
    if (function != Kernel::tanh || factor_ <= 1) return whole;
    const auto more = static_cast<std::size_t>((factor_ - 1) * static_cast<double>(n));
    const Task part = real_->elementwise(function, x, y, more);
    return [=] {
      whole();
      part();
    };
  }
  Task softmax(Kernel kind, const RowsOperands& o) override { return real_->softmax(kind, o); }
  Task loss(const RowsOperands& o) override { return real_->loss(o); }
  PackTask pack(Kernel layout, std::size_t k, std::size_t n, const float* b) override {
    return real_->pack(layout, k, n, b);
  }
  RnnTask rnn(Kernel pass, const RnnProblem& problem, int threads) override {
    return real_->rnn(pass, problem, threads);
  }
  FitTask fit(const Dataset& data, int threads) override { return real_->fit(data, threads); }

 private:
  std::unique_ptr<Contender> real_;
  double factor_;
};

double planted_factor() {
  const char* text = std::getenv("LOCKSTEP_PLANTED");
  return text == nullptr ? 1 : std::strtod(text, nullptr);
}

}  // namespace
}  // namespace lockstep::bench

int main(int argc, char** argv) {
  using namespace lockstep::bench;
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  PlantedContender contender(planted_factor());
  Contender* const contenders[] = {&contender};
  describe_machine(contender.name());
  register_machine_suite({});
  register_kernel_suites(contenders, {});
  register_rnn_suites(contenders, {});
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
