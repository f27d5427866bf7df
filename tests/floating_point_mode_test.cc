// No call of the library leaves the caller's floating-point mode changed, nor that of a thread that
// worked for it.
#include <array>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "catch.h"
#include "floats.h"
#include "lockstep/elementwise.h"
#include "lockstep/gemm.h"
#include "lockstep/lockstep.h"
#include "lockstep/portable_math.h"
#include "lockstep/rnn/builtin_data.h"
#include "lockstep/rnn/gradient_check.h"
#include "lockstep/rnn/metrics.h"
#include "lockstep/rnn/model_file.h"
#include "lockstep/rnn/stream.h"
#include "lockstep/rnn/trainer.h"
#include "lockstep/softmax.h"
#include "lockstep/threads.h"
#include "networks.h"
#include "temporary_directory.h"

namespace lockstep {
namespace {

// Rounding, flushing and masks of exceptions, without the flags that arithmetic raises.
#if defined(__x86_64__)
using Mode = std::uint32_t;
Mode mode() { return _mm_getcsr() & ~0x3fu; }
void set_mode(Mode mode) { _mm_setcsr(mode); }
// MXCSR as a program finds it.
constexpr Mode kUsual = 0x1f80;
const std::vector<std::pair<std::string, Mode>> kModes{
    {"usual", kUsual},
    {"round up", kUsual | 0x4000},
    {"round down", kUsual | 0x2000},
    {"round to zero", kUsual | 0x6000},
    {"flush to zero", kUsual | 0x8000},
    {"denormals are zero", kUsual | 0x0040},
    {"both and round up", kUsual | 0xc040},
    {"division by zero traps", kUsual & ~0x0200u},
};
#elif defined(__aarch64__)
using Mode = std::uint64_t;
Mode mode() {
  Mode word = 0;
  __asm__ volatile("mrs %0, fpcr" : "=r"(word));
  return word;
}
void set_mode(Mode mode) { __asm__ volatile("msr fpcr, %0" : : "r"(mode)); }
const std::vector<std::pair<std::string, Mode>> kModes{
    {"usual", 0}, {"round up", Mode{1} << 22}, {"flush to zero", Mode{1} << 24}};
#else
using Mode = int;
Mode mode() { return 0; }
void set_mode(Mode) {}
const std::vector<std::pair<std::string, Mode>> kModes{{"unknown", 0}};
#endif

// Runs `work` in a mode; true if it is the same behind it.
bool keeps(Mode given, const std::function<void()>& work) {
  const Mode before = mode();
  set_mode(given);
  work();
  const bool kept = mode() == given;
  set_mode(before);
  return kept;
}

constexpr RnnShape kShape{2, 40, 3};

Dataset ragged_data() {
  Dataset data(kShape.features, {"a", "b", "c"});
  for (std::size_t i = 0; i < 200; ++i) {
    data.add(normal_floats((1 + i * 7 % 9) * kShape.features, i), static_cast<int>(i % 3));
  }
  return data;
}

struct Call {
  const char* name;
  std::function<void()> run;
};

void expect_invalid(const std::function<void()>& work) {
  try {
    work();
  } catch (const std::runtime_error&) {
    return;
  } catch (const std::invalid_argument&) {
    return;
  }
  throw std::logic_error("it did not throw");
}

void call_kernels(int threads) {
  constexpr std::size_t kSize = 64;
  const std::vector<float> x(kSize * kSize, 1e-39f);  // denormal
  std::vector<float> y(x.size());
  const std::vector<int> labels(kSize);
  std::vector<double> loss(kSize);
  for (const auto function : {tanh, exp, sigmoid, relu}) function(x.data(), y.data(), y.size());
  gemm(Transpose::no, Transpose::yes, kSize, kSize, kSize, 1, x.data(), kSize, x.data(), kSize, 0,
       y.data(), kSize, threads);
  PackedMatrix packed(kSize, kSize);
  packed.pack(Transpose::no, x.data(), kSize);
  PackedGemm g;
  g.m = kSize;
  g.a = x.data();
  g.lda = kSize;
  g.c = y.data();
  g.ldc = kSize;
  g.epilogue = Epilogue::tanh;
  gemm_packed(g, packed);
  gemm_accumulate_transposed(kSize, kSize, x.data(), kSize, x.data(), kSize, y.data(), kSize, 0,
                             kSize);
  softmax(kSize, kSize, x.data(), kSize, y.data(), kSize);
  log_softmax(kSize, kSize, x.data(), kSize, y.data(), kSize);
  softmax_cross_entropy(kSize, kSize, x.data(), kSize, labels.data(), y.data(), kSize, loss.data());
  mean_softmax_cross_entropy(kSize, kSize, x.data(), kSize, labels.data(), y.data(), kSize);
  static_cast<void>(portable_log(2) + portable_sin(1) + portable_cos(1));
  expect_invalid([&] { softmax(2, kSize, x.data(), 1, y.data(), kSize); });
}

// Every public call that computes, on three threads where it takes any.
std::vector<Call> public_calls() {
  constexpr int kThreads = 3;
  const auto model = random_network(kShape);
  const Dataset data = ragged_data();
  const auto train = [=](std::size_t truncation, const auto& on_batch) {
    RnnParameters parameters = model;
    TrainOptions options{.epochs = 1, .batch_size = 34, .momentum = 0.9, .clip_norm = 0.1};
    options.truncation = truncation;
    options.threads = kThreads;
    Trainer(parameters, options).run_epoch(data, on_batch);
  };
  const auto go_on = [](const BatchProgress&) { return true; };
  const auto fail = [](const BatchProgress&) -> bool { throw std::runtime_error("stop"); };
  return {
      {"kernels", [] { call_kernels(kThreads); }},
      {"functions for C",
       [] {
         float x = 1e-39f;
         static_cast<void>(lockstep_tanh(&x, &x, 1));
         static_cast<void>(lockstep_set_backend("no/such"));
       }},
      {"run_epoch", [=] { train(0, go_on); }},
      {"run_epoch, truncated", [=] { train(3, go_on); }},
      {"run_epoch, whose callback throws", [=] { expect_invalid([&] { train(0, fail); }); }},
      {"fit",
       [=] {
         RnnParameters parameters = model;
         Trainer(parameters, {.epochs = 2, .threads = kThreads}).fit(data);
       }},
      {"predict_proba", [=] { static_cast<void>(predict_proba(model, data, kThreads)); }},
      {"predict", [=] { static_cast<void>(predict(model, data, kThreads)); }},
      {"predict of data that does not fit",
       [=] { expect_invalid([&] { static_cast<void>(predict(model, Dataset(1), kThreads)); }); }},
      {"Stream",
       [=] {
         Stream stream(model, 40, kThreads);
         stream.feed(std::vector<float>(40 * 2 * 50, 0.5f), 50);
         stream.feed_one(1, std::vector<float>(2));
         static_cast<void>(stream.logits());
         static_cast<void>(stream.probabilities());
         static_cast<void>(stream.probabilities(3));
         stream.set_state(0, std::vector<float>(40));
         stream.reset();
         expect_invalid([&] { stream.feed({}); });
       }},
      {"fast_gradients", [=] { static_cast<void>(fast_gradients(model, data, kThreads)); }},
      {"reference_gradients", [=] { static_cast<void>(reference_gradients(model, data)); }},
      {"check_gradients", [=] { static_cast<void>(check_gradients(model, data, 1e-5, 1)); }},
      {"hidden_states", [=] { static_cast<void>(hidden_states(model, data, 0)); }},
      {"initialize", [] { static_cast<void>(random_network(kShape)); }},
      {"Normalization",
       [=] {
         Dataset own = data;
         Normalization::fit(NormalizationKind::per_channel, own).apply(own);
       }},
      {"evaluate",
       [=] {
         const std::vector<float> certain(data.size() * 3, 1.0f / 3);
         static_cast<void>(evaluate(certain, data.labels(), 3));
       }},
      {"make_builtin_dataset",
       [] { static_cast<void>(make_builtin_dataset("cylinder-bell-funnel", 1)); }},
      {"save_model and load_model",
       [=] {
         const TemporaryDirectory directory;
         const RnnClassifier whole{model, {}, {"a", "b", "c"}};
         save_model(whole, directory / "m.safetensors");
         static_cast<void>(load_model(directory / "m.safetensors"));
       }},
  };
}

TEST_CASE("every public call leaves the caller's floating-point mode as it was") {
  const std::vector<Call> calls = public_calls();
  for (const auto& [name, given] : kModes) {
    for (const Call& call : calls) {
      CAPTURE(name, call.name);
      CHECK(keeps(given, call.run));
    }
  }
}

TEST_CASE("a change of the mode is noticed") {
  for (const auto& [name, given] : kModes) {
    if (given == kModes.back().second) continue;
    CAPTURE(name);
    CHECK_FALSE(keeps(given, [] { set_mode(kModes.back().second); }));
  }
}

TEST_CASE("threads of the caller keep the mode that each of them has") {
  const std::vector<Call> calls = public_calls();
  std::array<bool, 3> kept{};
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < kept.size(); ++i) {
    threads.emplace_back([&, i] {
      const Mode own = kModes[i % kModes.size()].second;
      kept[i] = true;
      for (const Call& call : calls) kept[i] = keeps(own, call.run) && kept[i];
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const bool each : kept) CHECK(each);
}

#if defined(_OPENMP)
// What OpenMP's threads, which worked for the library, are in when they work for someone else.
std::vector<Mode> modes_of_openmp_threads() {
  std::vector<Mode> modes(3);
#pragma omp parallel for num_threads(3) schedule(static, 1)
  for (int i = 0; i < 3; ++i) modes[static_cast<std::size_t>(i)] = mode();
  return modes;
}

// A thread begins in the mode of the one that starts it, and OpenMP starts threads when it needs
// them: a call that flushed denormals on the way to that would leave them flushing for good.
TEST_CASE("OpenMP's threads that a call starts stay in the mode of its caller") {
  const std::vector<Call> calls = public_calls();
  for (const auto& [name, given] : kModes) {
    const Mode of_caller = given;
    for (const Call& call : calls) {
      std::vector<Mode> modes;
      std::thread caller([&] {  // which has no OpenMP threads yet
        set_mode(of_caller);
        call.run();
        modes = modes_of_openmp_threads();
      });
      caller.join();
      CAPTURE(name, call.name);
      CHECK(modes == std::vector<Mode>(3, of_caller));
    }
  }
}
#endif

}  // namespace
}  // namespace lockstep
