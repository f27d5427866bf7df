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

#include "backend_scope.h"
#include "c_handles.h"
#include "catch.h"
#include "floats.h"
#include "lockstep/elementwise.h"
#include "lockstep/gemm.h"
#include "lockstep/gemm_batch.h"
#include "lockstep/lockstep.h"
#include "lockstep/portable_math.h"
#include "lockstep/rnn/builtin_data.h"
#include "lockstep/rnn/data_file.h"
#include "lockstep/rnn/gradient_check.h"
#include "lockstep/rnn/metrics.h"
#include "lockstep/rnn/model.h"
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

constexpr Sizes kShape{2, 40, 3};

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

// Large enough that a product pays for a team.
constexpr std::size_t kSize = 128;

std::vector<float> denormal_matrix() { return std::vector<float>(kSize * kSize, 1e-39f); }

void call_kernels(int threads) {
  const std::vector<float> x = denormal_matrix();
  std::vector<float> y(x.size());
  const std::vector<int> labels(kSize);
  std::vector<double> loss(kSize);
  for (const auto function : {tanh, exp, sigmoid, relu}) function(x.data(), y.data(), y.size());
  gemm(Transpose::no, Transpose::yes, kSize, kSize, kSize, 1, x.data(), kSize, x.data(), kSize, 0,
       y.data(), kSize, threads);
  GemmPlan(Transpose::no, Transpose::no, kSize, kSize, kSize, 1, kSize, kSize, 1, kSize, threads)
      .run(x.data(), x.data(), y.data());
  gemm_batch_strided(Transpose::no, Transpose::no, kSize / 2, kSize, kSize, 1, x.data(), kSize,
                     kSize * kSize / 2, x.data(), kSize, 0, 0, y.data(), kSize, kSize * kSize / 2,
                     2, threads);
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

void expect_ok(lockstep_status status) {
  if (status != LOCKSTEP_OK) throw std::logic_error(lockstep_last_error());
}

void call_c_kernels(int threads) {
  const std::vector<float> x = denormal_matrix();
  std::vector<float> y(x.size());
  const std::vector<int> labels(kSize);
  std::vector<double> loss(kSize);
  std::size_t correct = 0;
  for (const auto function : {lockstep_tanh, lockstep_exp, lockstep_sigmoid, lockstep_relu}) {
    expect_ok(function(x.data(), y.data(), y.size()));
  }
  expect_ok(lockstep_gemm(LOCKSTEP_PLAIN, LOCKSTEP_TRANSPOSED, kSize, kSize, kSize, 1, x.data(),
                          kSize, x.data(), kSize, 0, y.data(), kSize, threads));
  OwnedPlan plan;
  expect_ok(lockstep_gemm_plan_create(LOCKSTEP_PLAIN, LOCKSTEP_PLAIN, kSize, kSize, kSize, 1, kSize,
                                      kSize, 1, kSize, threads, &plan));
  expect_ok(lockstep_gemm_plan_run(plan, x.data(), x.data(), y.data()));
  expect_ok(lockstep_gemm_plan_run_batch_strided(plan, 1, x.data(), 0, x.data(), 0, y.data(), 0));
  OwnedPacked packed;
  expect_ok(lockstep_pack(LOCKSTEP_PLAIN, kSize, kSize, x.data(), kSize, &packed));
  expect_ok(lockstep_gemm_packed(kSize, x.data(), kSize, packed, nullptr, 0, LOCKSTEP_EPILOGUE_TANH,
                                 y.data(), kSize));
  expect_ok(lockstep_softmax(kSize, kSize, x.data(), kSize, y.data(), kSize));
  expect_ok(lockstep_log_softmax(kSize, kSize, x.data(), kSize, y.data(), kSize));
  expect_ok(lockstep_softmax_cross_entropy(kSize, kSize, x.data(), kSize, labels.data(), y.data(),
                                           kSize, loss.data(), &correct));
  expect_ok(lockstep_mean_softmax_cross_entropy(kSize, kSize, x.data(), kSize, labels.data(),
                                                y.data(), kSize, loss.data(), &correct));
  if (lockstep_set_backend("no/such") == LOCKSTEP_OK) throw std::logic_error("there is one");
}

void fill(lockstep_dataset* dataset, const Dataset& data) {
  for (std::size_t i = 0; i < data.size(); ++i) {
    expect_ok(
        lockstep_dataset_add(dataset, data.sequence(i).data(), data.length(i), data.label(i)));
  }
}

void call_c_networks(const Dataset& from, int threads) {
  OwnedDataset data;
  expect_ok(lockstep_dataset_create(from.channels(), from.classes(), nullptr, &data));
  fill(data, from);
  OwnedOptions options;
  expect_ok(lockstep_options_create(&options));
  expect_ok(lockstep_options_set(options, "hidden", std::to_string(kShape.hidden).c_str()));
  expect_ok(lockstep_options_set(options, "epochs", "1"));
  expect_ok(lockstep_options_set(options, "threads", std::to_string(threads).c_str()));
  OwnedModel model;
  expect_ok(lockstep_model_create(data, options, &model));
  const lockstep_epoch_callback go_on = [](const lockstep_epoch*, void*) { return 0; };
  expect_ok(lockstep_model_train(model, data, nullptr, options, go_on, nullptr, nullptr));
  std::vector<float> probabilities(from.size() * from.classes());
  expect_ok(lockstep_model_predict_proba(model, data, threads, probabilities.data(),
                                         probabilities.size()));
  std::vector<int> classes(from.size());
  expect_ok(lockstep_model_predict(model, data, threads, classes.data(), classes.size()));
  double accuracy = 0;
  double loss = 0;
  expect_ok(lockstep_model_evaluate(model, data, threads, &accuracy, &loss));
  lockstep_model_info info;
  expect_ok(lockstep_model_get_info(model, &info));
  const TemporaryDirectory directory;
  const std::string path = (directory / "m.safetensors").string();
  expect_ok(lockstep_model_save(model, path.c_str()));
  OwnedModel loaded;
  expect_ok(lockstep_model_load(path.c_str(), &loaded));
  OwnedModel none;
  if (lockstep_model_load("/no/such", &none) == LOCKSTEP_OK) throw std::logic_error("it is read");
}

void call_c_data(const std::string& path) {
  OwnedDataset data;
  expect_ok(lockstep_dataset_read(path.c_str(), &data));
  OwnedDataset train;
  OwnedDataset test;
  expect_ok(lockstep_dataset_builtin("cylinder-bell-funnel", 1, &train, &test));
}

constexpr const char* kCsv = "sample,step,label,x\n0,0,a,1.5e-39\n0,1,a,0.1\n1,0,b,-2\n";

// Every public call that computes, on three threads where it takes any.
std::vector<Call> public_calls() {
  constexpr int kThreads = 3;
  const auto model = random_network(kShape);
  const Dataset data = ragged_data();
  const auto train = [=](std::size_t truncation, const auto& on_batch) {
    Parameters parameters = model;
    Options options{.epochs = 1, .batch_size = 34, .momentum = 0.9, .clip_norm = 0.1};
    options.truncate = truncation;
    options.threads = kThreads;
    Trainer(parameters, options).run_epoch(data, on_batch);
  };
  const auto go_on = [](const BatchProgress&) { return true; };
  const auto fail = [](const BatchProgress&) -> bool { throw std::runtime_error("stop"); };
  return {
      {"kernels", [] { call_kernels(kThreads); }},
      {"kernels for C", [] { call_c_kernels(kThreads); }},
      {"networks for C", [=] { call_c_networks(data, kThreads); }},
      {"data for C",
       [] {
         const TemporaryDirectory directory;
         call_c_data(directory.write("data.csv", kCsv).string());
       }},
      {"run_epoch", [=] { train(0, go_on); }},
      {"run_epoch, truncated", [=] { train(3, go_on); }},
      {"run_epoch, whose callback throws", [=] { expect_invalid([&] { train(0, fail); }); }},
      {"epochs",
       [=] {
         Parameters parameters = model;
         lockstep::train(parameters, data, {.epochs = 2, .threads = kThreads});
       }},
      {"predict_proba", [=] { static_cast<void>(predict_proba(model, data, kThreads)); }},
      {"predict", [=] { static_cast<void>(predict(model, data, kThreads)); }},
      {"predict of data that does not fit",
       [=] { expect_invalid([&] { static_cast<void>(predict(model, Dataset(1), kThreads)); }); }},
      {"Stream",
       [=] {
         Stream stream(model, 40, kThreads);
         stream.feed(std::vector<float>(std::size_t{40} * 2 * 50, 0.5f), 50);
         stream.feed_one(1, std::vector<float>(2));
         static_cast<void>(stream.logits());
         static_cast<void>(stream.probabilities());
         static_cast<void>(stream.probabilities(3));
         stream.set_state(0, std::vector<float>(40));
         stream.reset();
         expect_invalid([&] { stream.feed({}); });
       }},
      {"fast_gradients",
       [=] { static_cast<void>(fast_gradients(model, data, {.threads = kThreads})); }},
      {"reference_gradients", [=] { static_cast<void>(reference_gradients(model, data)); }},
      {"check_gradients", [=] { static_cast<void>(check_gradients(model, data, {}, 1e-5, 1)); }},
      {"initialize", [] { static_cast<void>(random_network(kShape)); }},
      {"Normalization",
       [=] {
         Dataset own = data;
         Normalization::fit(NormalizationKind::series, own).apply(own);
         const auto fitted = Normalization::fit(NormalizationKind::channel, own);
         fitted.apply(own);
         fitted.apply(own.writable_sequence(0));
         expect_invalid([&] { fitted.apply(own.writable_sequence(0).first(1)); });
       }},
      {"evaluate",
       [=] {
         const std::vector<float> certain(data.size() * 3, 1.0f / 3);
         static_cast<void>(evaluate(certain, data.labels(), 3));
       }},
      {"make_builtin_dataset",
       [] { static_cast<void>(make_builtin_dataset("cylinder-bell-funnel", 1)); }},
      {"read_dataset",
       [] {
         const TemporaryDirectory directory;
         static_cast<void>(read_dataset(directory.write("data.csv", kCsv)));
         expect_invalid([&] { static_cast<void>(read_dataset(directory / "none.csv")); });
       }},
      {"training_workspace_bytes",
       [] { static_cast<void>(training_workspace_bytes(kShape, {}, 200, 9)); }},
      {"Model",
       [=] {
         const TemporaryDirectory directory;
         Model whole(data, {.hidden = 40, .epochs = 1, .threads = kThreads, .validation = 0.2});
         static_cast<void>(whole.fit(data));
         static_cast<void>(whole.predict(data, kThreads));
         static_cast<void>(whole.evaluate(data, kThreads));
         whole.save(directory / "m.safetensors");
         static_cast<void>(Model::load(directory / "m.safetensors"));
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
  threads.reserve(kept.size());
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

TEST_CASE("an option above 0 is not 0 in any mode") {
  for (const auto& [name, given] : kModes) {
    CAPTURE(name);
    CHECK(keeps(given, [] { expect_invalid([] { validate({.learning_rate = 0}); }); }));
    CHECK(keeps(given, [] { validate({.learning_rate = 1e-300}); }));
  }
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

// A multiplication by one on the way of a copy would show: in products in a mode that flushes what
// is denormal among results but not among operands, in a transpose in every mode that flushes.
TEST_CASE("copies move denormals as they are") {
  constexpr std::size_t kColumns = 21;  // a line and a bit, or less
  const std::vector<float> b(kColumns * kColumns, 1e-39f);
  const std::vector<float> a(kColumns * kColumns, 1e30f);
  const auto in_mode = [&](Mode given, Transpose transpose, bool is_packed, std::size_t n) {
    std::vector<float> c(kColumns * kColumns);
    const Mode before = mode();
    set_mode(given);
    if (is_packed) {
      PackedMatrix packed(n, n);
      packed.pack(transpose, b.data(), kColumns);
      PackedGemm g;
      g.m = n;
      g.a = a.data();
      g.lda = kColumns;
      g.c = c.data();
      g.ldc = kColumns;
      gemm_packed(g, packed);
    } else {
      gemm(Transpose::no, transpose, n, n, n, 1, a.data(), kColumns, b.data(), kColumns, 0,
           c.data(), kColumns, 1);
    }
    set_mode(before);
    return c;
  };
  for (const std::string& name : runnable_backends()) {
    const BackendScope scope(name);
    for (const auto& [what, given] : kModes) {
      for (const std::size_t n : {std::size_t{7}, std::size_t{8}, std::size_t{16}, kColumns}) {
        CAPTURE(name, what, n);
        const std::vector<float> expected = in_mode(given, Transpose::no, false, n);
        CHECK(same_bits(in_mode(given, Transpose::yes, false, n), expected));
        CHECK(same_bits(in_mode(given, Transpose::no, true, n), expected));
        CHECK(same_bits(in_mode(given, Transpose::yes, true, n), expected));
      }
    }
  }
  std::vector<float> denormals(b.size());
  std::vector<float> transposed(b.size());
  for (std::size_t i = 0; i < b.size(); ++i) {
    denormals[i] = static_cast<float>(i + 1) * 1e-41f;
    transposed[i % kColumns * kColumns + i / kColumns] = denormals[i];
  }
  for (const auto& [what, given] : kModes) {
    CAPTURE(what);
    std::vector<float> t(b.size());
    const Mode before = mode();
    set_mode(given);
    transpose(kColumns, kColumns, denormals.data(), kColumns, t.data(), kColumns);
    set_mode(before);
    CHECK(same_bits(t, transposed));
  }
}

}  // namespace
}  // namespace lockstep
