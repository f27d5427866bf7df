// The C functions, called from C++: they compute what the C++ functions do, and every error comes
// back as a status with a text.

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "allocation_count.h"
#include "backend_scope.h"
#include "c_handles.h"
#include "catch.h"
#include "floats.h"
#include "lockstep/elementwise.h"
#include "lockstep/gemm.h"
#include "lockstep/gemm_batch.h"
#include "lockstep/lockstep.h"
#include "lockstep/rnn/builtin_data.h"
#include "lockstep/rnn/model.h"
#include "lockstep/rnn/predict.h"
#include "lockstep/rnn/trainer.h"
#include "lockstep/softmax.h"
#include "lockstep/threads.h"
#include "process.h"
#include "temporary_directory.h"

namespace lockstep {
namespace {

void check_fails(lockstep_status status, lockstep_status expected, const std::string& text) {
  CHECK(status == expected);
  CHECK_THAT(lockstep_last_error(), ContainsSubstring(text));
}

void check_invalid(lockstep_status status, const std::string& text) {
  check_fails(status, LOCKSTEP_INVALID_ARGUMENT, text);
}

TEST_CASE("C: version, statuses and backends") {
  CHECK(std::string(lockstep_version()) == LOCKSTEP_VERSION);
  CHECK(LOCKSTEP_VERSION == std::to_string(LOCKSTEP_VERSION_MAJOR) + "." +
                                std::to_string(LOCKSTEP_VERSION_MINOR) + "." +
                                std::to_string(LOCKSTEP_VERSION_PATCH));
  CHECK(std::string(lockstep_status_text(LOCKSTEP_OK)) == "success");
  CHECK(std::string(lockstep_status_text(LOCKSTEP_INVALID_ARGUMENT)) == "invalid argument");
  CHECK(std::string(lockstep_status_text(LOCKSTEP_OUT_OF_MEMORY)) == "out of memory");
  CHECK(std::string(lockstep_status_text(LOCKSTEP_FILE_ERROR)) == "file error");
  CHECK(std::string(lockstep_status_text(LOCKSTEP_INTERNAL_ERROR)) == "internal error");

  const lockstep_backend* list = nullptr;
  std::size_t count = 0;
  REQUIRE(lockstep_backends(&list, &count) == LOCKSTEP_OK);
  const std::vector<BackendInfo> expected = backends();
  REQUIRE(count == expected.size());
  for (std::size_t i = 0; i < count; ++i) {
    CHECK(list[i].name == expected[i].name);
    CHECK((list[i].runnable != 0) == expected[i].runnable);
    CHECK((list[i].fused != 0) == expected[i].fused);
    CHECK(list[i].lanes == expected[i].lanes);
  }
  check_invalid(lockstep_backends(nullptr, &count), "lockstep_backends: a pointer is null");
  check_invalid(lockstep_backends(&list, nullptr), "null");

  const BackendScope scope("");
  const char* name = nullptr;
  REQUIRE(lockstep_set_backend("reference") == LOCKSTEP_OK);
  REQUIRE(lockstep_active_backend(&name) == LOCKSTEP_OK);
  CHECK(std::string(name) == "reference");
  check_invalid(lockstep_set_backend("no/such"), "\"no/such\"");
  check_invalid(lockstep_active_backend(nullptr), "null");
  CHECK(active_backend().name == "reference");
  REQUIRE(lockstep_set_backend(nullptr) == LOCKSTEP_OK);

  int threads = 0;
  REQUIRE(lockstep_default_threads(&threads) == LOCKSTEP_OK);
  CHECK(threads == default_threads().count);
  check_invalid(lockstep_default_threads(nullptr), "null");
  REQUIRE(lockstep_threading(&name) == LOCKSTEP_OK);
  CHECK(std::string(name) == threading());
  check_invalid(lockstep_threading(nullptr), "null");
}

TEST_CASE("C: a LOCKSTEP_BACKEND that cannot run is an error of the call") {
  const std::string chosen(active_backend().name);
  {
    const EnvironmentScope environment("no/such");
    check_invalid(lockstep_set_backend(""), "no/such");
  }
  CHECK(active_backend().name == chosen);
}

TEST_CASE("C: the last error belongs to its thread and stays until the next") {
  check_invalid(lockstep_set_backend("mine"), "\"mine\"");
  std::string at_first;
  std::string after;
  std::thread([&] {
    at_first = lockstep_last_error();
    static_cast<void>(lockstep_set_backend("theirs"));
    after = lockstep_last_error();
  }).join();
  CHECK(at_first.empty());
  CHECK_THAT(after, ContainsSubstring("\"theirs\""));
  CHECK_THAT(lockstep_last_error(), ContainsSubstring("\"mine\""));
  CHECK(lockstep_tanh(nullptr, nullptr, 0) == LOCKSTEP_OK);
  CHECK_THAT(lockstep_last_error(), ContainsSubstring("\"mine\""));
}

TEST_CASE("C: elementwise functions") {
  using Function = lockstep_status (*)(const float*, float*, std::size_t);
  const std::vector<std::pair<Function, void (*)(const float*, float*, std::size_t)>> functions = {
      {lockstep_tanh, tanh},
      {lockstep_exp, exp},
      {lockstep_sigmoid, sigmoid},
      {lockstep_relu, relu}};
  const std::vector<float> x = normal_floats(37, 1);
  for (const auto& [function, expected_function] : functions) {
    std::vector<float> y(x.size());
    std::vector<float> expected(x.size());
    expected_function(x.data(), expected.data(), x.size());
    REQUIRE(function(x.data(), y.data(), x.size()) == LOCKSTEP_OK);
    CHECK(same_bits(y, expected));
    CHECK(function(nullptr, nullptr, 0) == LOCKSTEP_OK);
    check_invalid(function(nullptr, y.data(), 1), "null");
    check_invalid(function(x.data(), nullptr, 1), "null");
  }
}

TEST_CASE("C: matrix products") {
  const std::vector<float> a = normal_floats(5 * 7, 1);
  const std::vector<float> b = normal_floats(7 * 9, 2);
  std::vector<float> c(5 * 9);
  std::vector<float> expected(5 * 9);
  const auto c_gemm = [&](int ta, int tb, std::size_t lda, std::size_t ldb, const float* left,
                          const float* right, float* out, int threads) {
    return lockstep_gemm(ta, tb, 5, 9, 7, 0.5f, left, lda, right, ldb, 0, out, 9, threads);
  };
  for (const int ta : {LOCKSTEP_PLAIN, LOCKSTEP_TRANSPOSED}) {
    for (const int tb : {LOCKSTEP_PLAIN, LOCKSTEP_TRANSPOSED}) {
      const std::size_t lda = ta == LOCKSTEP_PLAIN ? 7 : 5;
      const std::size_t ldb = tb == LOCKSTEP_PLAIN ? 9 : 7;
      gemm(Transpose{ta}, Transpose{tb}, 5, 9, 7, 0.5f, a.data(), lda, b.data(), ldb, 0,
           expected.data(), 9);
      REQUIRE(c_gemm(ta, tb, lda, ldb, a.data(), b.data(), c.data(), 0) == LOCKSTEP_OK);
      CHECK(same_bits(c, expected));
    }
  }
  check_invalid(c_gemm(2, 0, 7, 9, a.data(), b.data(), c.data(), 0), "transpose");
  check_invalid(c_gemm(0, -1, 7, 9, a.data(), b.data(), c.data(), 0), "transpose");
  check_invalid(c_gemm(0, 0, 6, 9, a.data(), b.data(), c.data(), 0), "lda");
  check_invalid(c_gemm(0, 0, 7, 8, a.data(), b.data(), c.data(), 0), "ldb");
  check_invalid(c_gemm(0, 0, 7, 9, nullptr, b.data(), c.data(), 0), "null");
  check_invalid(c_gemm(0, 0, 7, 9, a.data(), nullptr, c.data(), 0), "null");
  check_invalid(c_gemm(0, 0, 7, 9, a.data(), b.data(), nullptr, 0), "null");
  check_invalid(c_gemm(0, 0, 7, 9, a.data(), b.data(), c.data(), -1), "threads: -1");
  CHECK(lockstep_gemm(0, 0, 0, 9, 7, 1, nullptr, 7, nullptr, 9, 0, nullptr, 9, 1) == LOCKSTEP_OK);
}

TEST_CASE("C: planned products") {
  const std::vector<float> a = normal_floats(5 * 7, 1);
  const std::vector<float> b = normal_floats(7 * 9, 2);
  std::vector<float> c(5 * 9);
  std::vector<float> expected(5 * 9);
  gemm(Transpose::no, Transpose::no, 5, 9, 7, 1, a.data(), 7, b.data(), 9, 0, expected.data(), 9);
  OwnedPlan plan;
  REQUIRE(lockstep_gemm_plan_create(0, 0, 5, 9, 7, 1, 7, 9, 0, 9, 0, &plan) == LOCKSTEP_OK);
  REQUIRE(lockstep_gemm_plan_run(plan, a.data(), b.data(), c.data()) == LOCKSTEP_OK);
  CHECK(same_bits(c, expected));
  check_invalid(lockstep_gemm_plan_run(nullptr, a.data(), b.data(), c.data()), "null");
  check_invalid(lockstep_gemm_plan_run(plan, nullptr, b.data(), c.data()), "null");
  check_invalid(lockstep_gemm_plan_run(plan, a.data(), nullptr, c.data()), "null");
  check_invalid(lockstep_gemm_plan_run(plan, a.data(), b.data(), nullptr), "null");
  lockstep_gemm_plan* none = plan;
  check_invalid(lockstep_gemm_plan_create(0, 7, 5, 9, 7, 1, 7, 9, 0, 9, 0, &none), "transpose");
  CHECK(none == nullptr);
  check_invalid(lockstep_gemm_plan_create(0, 0, 5, 9, 7, 1, 6, 9, 0, 9, 0, &none), "lda");
  check_invalid(lockstep_gemm_plan_create(0, 0, 5, 9, 7, 1, 7, 9, 0, 9, -1, &none), "threads");
  check_invalid(lockstep_gemm_plan_create(0, 0, 5, 9, 7, 1, 7, 9, 0, 9, 0, nullptr), "null");
  lockstep_gemm_plan_free(nullptr);
}

TEST_CASE("C: many products of one shape") {
  const std::vector<float> a = normal_floats(3 * 5 * 7, 1);
  const std::vector<float> b = normal_floats(7 * 9, 2);
  std::vector<float> c(3 * 5 * 9);
  std::vector<float> expected(c.size());
  const std::array<const float*, 3> a_of{&a[0], &a[35], &a[70]};
  const std::array<const float*, 3> b_of{b.data(), b.data(), b.data()};
  const std::array<float*, 3> c_of{&c[0], &c[45], &c[90]};
  const auto pointers = [&](int ta, std::size_t lda, const float* const* left, int threads) {
    return lockstep_gemm_batch(ta, 0, 5, 9, 7, 0.5f, left, lda, b_of.data(), 9, 0, c_of.data(), 9,
                               3, threads);
  };
  const auto strided = [&](int tb, std::size_t ldb, const float* right, std::size_t stride_c) {
    return lockstep_gemm_batch_strided(0, tb, 5, 9, 7, 0.5f, a.data(), 7, 35, right, ldb, 0, 0,
                                       c.data(), 9, stride_c, 3, 0);
  };
  gemm_batch_strided(Transpose::no, Transpose::no, 5, 9, 7, 0.5f, a.data(), 7, 35, b.data(), 9, 0,
                     0, expected.data(), 9, 45, 3);
  REQUIRE(pointers(LOCKSTEP_PLAIN, 7, a_of.data(), 0) == LOCKSTEP_OK);
  CHECK(same_bits(c, expected));
  std::ranges::fill(c, 0.0f);
  REQUIRE(strided(LOCKSTEP_PLAIN, 9, b.data(), 45) == LOCKSTEP_OK);
  CHECK(same_bits(c, expected));
  check_invalid(pointers(2, 7, a_of.data(), 0), "lockstep_gemm_batch: transpose");
  check_invalid(pointers(0, 6, a_of.data(), 0), "lda");
  check_invalid(pointers(0, 7, nullptr, 0), "null");
  check_invalid(pointers(0, 7, std::array<const float*, 3>{&a[0], nullptr, &a[70]}.data(), 0),
                "a[1] is null");
  check_invalid(pointers(0, 7, a_of.data(), -1), "threads: -1");
  check_invalid(strided(-1, 9, b.data(), 45), "lockstep_gemm_batch_strided: transpose");
  check_invalid(strided(0, 8, b.data(), 45), "ldb");
  check_invalid(strided(0, 9, nullptr, 45), "null");
  check_invalid(strided(0, 9, b.data(), 44), "stride_c");

  OwnedPlan plan;
  REQUIRE(lockstep_gemm_plan_create(0, 0, 5, 9, 7, 0.5f, 7, 9, 0, 9, 0, &plan) == LOCKSTEP_OK);
  std::ranges::fill(c, 0.0f);
  REQUIRE(lockstep_gemm_plan_run_batch(plan, 3, a_of.data(), b_of.data(), c_of.data()) ==
          LOCKSTEP_OK);
  CHECK(same_bits(c, expected));
  std::ranges::fill(c, 0.0f);
  REQUIRE(lockstep_gemm_plan_run_batch_strided(plan, 3, a.data(), 35, b.data(), 0, c.data(), 45) ==
          LOCKSTEP_OK);
  CHECK(same_bits(c, expected));
  check_invalid(lockstep_gemm_plan_run_batch(nullptr, 3, a_of.data(), b_of.data(), c_of.data()),
                "null");
  check_invalid(lockstep_gemm_plan_run_batch(plan, 3, a_of.data(), b_of.data(), nullptr), "null");
  check_invalid(
      lockstep_gemm_plan_run_batch_strided(nullptr, 3, a.data(), 35, b.data(), 0, c.data(), 45),
      "null");
  check_invalid(
      lockstep_gemm_plan_run_batch_strided(plan, 3, a.data(), 35, b.data(), 0, c.data(), 9),
      "stride_c");
}

TEST_CASE("C: packed products") {
  const std::vector<float> a = normal_floats(5 * 7, 1);
  const std::vector<float> b = normal_floats(7 * 9, 2);
  const std::vector<float> bias = normal_floats(9, 3);
  std::vector<float> c(5 * 9);
  OwnedPacked packed;
  REQUIRE(lockstep_pack(LOCKSTEP_PLAIN, 7, 9, b.data(), 9, &packed) == LOCKSTEP_OK);
  REQUIRE(lockstep_gemm_packed(5, a.data(), 7, packed, bias.data(), 0, LOCKSTEP_EPILOGUE_TANH,
                               c.data(), 9) == LOCKSTEP_OK);
  std::vector<float> expected(5 * 9);
  for (std::size_t i = 0; i < 5; ++i) std::copy(bias.begin(), bias.end(), &expected[i * 9]);
  gemm(Transpose::no, Transpose::no, 5, 9, 7, 1, a.data(), 7, b.data(), 9, 1, expected.data(), 9);
  tanh(expected.data(), expected.data(), expected.size());
  if (active_backend().fused) CHECK(same_bits(c, expected));

  check_invalid(lockstep_gemm_packed(5, a.data(), 7, nullptr, nullptr, 0, 0, c.data(), 9), "null");
  check_invalid(lockstep_gemm_packed(5, nullptr, 7, packed, nullptr, 0, 0, c.data(), 9), "null");
  check_invalid(lockstep_gemm_packed(5, a.data(), 7, packed, nullptr, 0, 2, c.data(), 9),
                "epilogue");
  check_invalid(lockstep_gemm_packed(5, a.data(), 6, packed, nullptr, 0, 0, c.data(), 9), "stride");

  lockstep_packed_matrix* none = packed;
  check_invalid(lockstep_pack(LOCKSTEP_PLAIN, 7, 9, nullptr, 9, &none), "null");
  CHECK(none == nullptr);
  check_invalid(lockstep_pack(LOCKSTEP_PLAIN, 7, 9, b.data(), 9, nullptr), "null");
  check_invalid(lockstep_pack(3, 7, 9, b.data(), 9, &none), "transpose");
  check_invalid(lockstep_pack(LOCKSTEP_PLAIN, 7, 9, b.data(), 8, &none), "ldb");
  constexpr std::size_t kMost = std::numeric_limits<std::size_t>::max();
  check_invalid(lockstep_pack(LOCKSTEP_PLAIN, kMost, kMost, b.data(), kMost, &none), "memory");
  if (allocation_count()) {  // sanitizers end the program instead
    constexpr std::size_t kTooMuch = std::size_t{1} << 29;
    check_fails(lockstep_pack(LOCKSTEP_PLAIN, kTooMuch, kTooMuch, b.data(), kTooMuch, &none),
                LOCKSTEP_OUT_OF_MEMORY, "out of memory");
  }
  CHECK(none == nullptr);
  lockstep_packed_matrix_free(nullptr);
}

TEST_CASE("C: softmax and its loss") {
  const std::vector<float> x = normal_floats(4 * 6, 1);
  const std::vector<int> labels{0, 5, 2, 2};
  std::vector<float> y(x.size());
  std::vector<float> expected(x.size());
  REQUIRE(lockstep_softmax(4, 6, x.data(), 6, y.data(), 6) == LOCKSTEP_OK);
  softmax(4, 6, x.data(), 6, expected.data(), 6);
  CHECK(same_bits(y, expected));
  REQUIRE(lockstep_log_softmax(4, 6, x.data(), 6, y.data(), 6) == LOCKSTEP_OK);
  log_softmax(4, 6, x.data(), 6, expected.data(), 6);
  CHECK(same_bits(y, expected));
  for (const auto function : {lockstep_softmax, lockstep_log_softmax}) {
    check_invalid(function(4, 6, nullptr, 6, y.data(), 6), "null");
    check_invalid(function(4, 6, x.data(), 6, nullptr, 6), "null");
    check_invalid(function(4, 6, x.data(), 5, y.data(), 6), "stride");
    check_invalid(function(4, 6, x.data(), 6, y.data(), 5), "stride");
    CHECK(function(0, 6, nullptr, 6, nullptr, 6) == LOCKSTEP_OK);
  }

  std::size_t correct = 99;
  std::vector<double> loss(4);
  std::vector<double> expected_loss(4);
  REQUIRE(lockstep_softmax_cross_entropy(4, 6, x.data(), 6, labels.data(), y.data(), 6, loss.data(),
                                         &correct) == LOCKSTEP_OK);
  CHECK(correct == softmax_cross_entropy(4, 6, x.data(), 6, labels.data(), expected.data(), 6,
                                         expected_loss.data()));
  CHECK(loss == expected_loss);
  CHECK(same_bits(y, expected));
  REQUIRE(lockstep_mean_softmax_cross_entropy(4, 6, x.data(), 6, labels.data(), y.data(), 6,
                                              loss.data(), nullptr) == LOCKSTEP_OK);
  CHECK(loss[0] ==
        mean_softmax_cross_entropy(4, 6, x.data(), 6, labels.data(), expected.data(), 6).loss);
  CHECK(same_bits(y, expected));
}

TEST_CASE("C: errors of the losses") {
  const std::vector<float> x = normal_floats(2 * 3, 1);
  std::vector<float> y(x.size());
  std::vector<double> loss(2);
  const std::vector<int> labels{0, 2};
  for (const auto function :
       {lockstep_softmax_cross_entropy, lockstep_mean_softmax_cross_entropy}) {
    const auto call = [&](const float* logits, std::size_t ldx, const int* truth, float* gradient,
                          std::size_t ldg, double* losses) {
      return function(2, 3, logits, ldx, truth, gradient, ldg, losses, nullptr);
    };
    CHECK(call(x.data(), 3, labels.data(), y.data(), 3, loss.data()) == LOCKSTEP_OK);
    check_invalid(call(nullptr, 3, labels.data(), y.data(), 3, loss.data()), "null");
    check_invalid(call(x.data(), 3, nullptr, y.data(), 3, loss.data()), "null");
    check_invalid(call(x.data(), 3, labels.data(), nullptr, 3, loss.data()), "null");
    check_invalid(call(x.data(), 3, labels.data(), y.data(), 3, nullptr), "null");
    check_invalid(call(x.data(), 2, labels.data(), y.data(), 3, loss.data()), "stride");
    check_invalid(call(x.data(), 3, labels.data(), y.data(), 2, loss.data()), "stride");
    for (const int wrong : {-1, 3}) {
      const std::vector<int> bad{0, wrong};
      check_invalid(call(x.data(), 3, bad.data(), y.data(), 3, loss.data()),
                    "label " + std::to_string(wrong) + " of row 1");
    }
  }
}

TEST_CASE("C: data sets") {
  OwnedDataset data;
  const char* const names[] = {"down", "up"};
  REQUIRE(lockstep_dataset_create(2, 2, names, &data) == LOCKSTEP_OK);
  const float values[] = {1, 2, 3, 4, 5, 6};
  REQUIRE(lockstep_dataset_add(data, values, 3, 1) == LOCKSTEP_OK);
  REQUIRE(lockstep_dataset_add(data, values, 1, LOCKSTEP_NO_LABEL) == LOCKSTEP_OK);
  lockstep_dataset_info info;
  REQUIRE(lockstep_dataset_get_info(data, &info) == LOCKSTEP_OK);
  CHECK((info.size == 2 && info.channels == 2 && info.classes == 2 && info.max_length == 3));
  int label = 0;
  REQUIRE(lockstep_dataset_label(data, 0, &label) == LOCKSTEP_OK);
  CHECK(label == 1);

  check_invalid(lockstep_dataset_label(data, 2, &label), "no such sequence");
  check_invalid(lockstep_dataset_label(data, 0, nullptr), "null");
  check_invalid(lockstep_dataset_label(nullptr, 0, &label), "null");
  check_invalid(lockstep_dataset_get_info(data, nullptr), "null");
  check_invalid(lockstep_dataset_get_info(nullptr, &info), "null");
  check_invalid(lockstep_dataset_add(nullptr, values, 3, 1), "null");
  check_invalid(lockstep_dataset_add(data, nullptr, 3, 1), "null");
  check_invalid(lockstep_dataset_add(data, values, 0, 1), "values");
  check_invalid(lockstep_dataset_add(data, values, 3, 2), "label 2");
  check_invalid(lockstep_dataset_add(data, values, 3, -2), "label -2");
  check_invalid(lockstep_dataset_add(data, values, std::numeric_limits<std::size_t>::max(), 0),
                "length");

  lockstep_dataset* none = data;
  check_invalid(lockstep_dataset_create(0, 2, names, &none), "channels");
  CHECK(none == nullptr);
  const char* const twice[] = {"up", "up"};
  check_invalid(lockstep_dataset_create(1, 2, twice, &none), "same name");
  const char* const missing[] = {"up", nullptr};
  check_invalid(lockstep_dataset_create(1, 2, missing, &none), "null");
  check_invalid(lockstep_dataset_create(1, 2, names, nullptr), "null");
  check_invalid(lockstep_dataset_create(1, std::numeric_limits<std::size_t>::max(), nullptr, &none),
                "classes");
  REQUIRE(lockstep_dataset_get_info(data, &info) == LOCKSTEP_OK);
  CHECK(info.size == 2);
  lockstep_dataset_free(nullptr);
}

TEST_CASE("C: data sets from files and formulas") {
  const TemporaryDirectory directory;
  const auto good = directory.write("good.csv", "sample,step,label,x\n0,0,a,1\n1,0,b,2\n");
  const auto bad = directory.write("bad.csv", "nonsense\n");
  OwnedDataset data;
  REQUIRE(lockstep_dataset_read(good.c_str(), &data) == LOCKSTEP_OK);
  lockstep_dataset* none = data;
  check_fails(lockstep_dataset_read(bad.c_str(), &none), LOCKSTEP_FILE_ERROR, "bad.csv");
  CHECK(none == nullptr);
  check_fails(lockstep_dataset_read("/no/such.csv", &none), LOCKSTEP_FILE_ERROR, "/no/such.csv");
  check_fails(lockstep_dataset_read("file.doc", &none), LOCKSTEP_FILE_ERROR, "file.doc");
  check_invalid(lockstep_dataset_read(nullptr, &none), "null");
  check_invalid(lockstep_dataset_read(good.c_str(), nullptr), "null");

  OwnedDataset train;
  OwnedDataset test;
  REQUIRE(lockstep_dataset_builtin("parity", 1, &train, &test) == LOCKSTEP_OK);
  lockstep_dataset* other = test;
  check_invalid(lockstep_dataset_builtin("nonsense", 1, &none, &other), "nonsense");
  CHECK((none == nullptr && other == nullptr));
  check_invalid(lockstep_dataset_builtin(nullptr, 1, &none, &other), "null");
  check_invalid(lockstep_dataset_builtin("parity", 1, nullptr, &other), "null");
  check_invalid(lockstep_dataset_builtin("parity", 1, &none, nullptr), "null");
}

// Options of a small, short training, and others.
class QuickOptions : public OwnedOptions {
 public:
  using Values = std::initializer_list<std::pair<const char*, const char*>>;
  QuickOptions(Values values = {}) {
    REQUIRE(lockstep_options_create(&*this) == LOCKSTEP_OK);
    for (const auto& [name, value] : Values{{"hidden", "8"}, {"epochs", "3"}}) set(name, value);
    for (const auto& [name, value] : values) set(name, value);
  }

 private:
  void set(const char* name, const char* value) {
    REQUIRE(lockstep_options_set(*this, name, value) == LOCKSTEP_OK);
  }
};

TEST_CASE("C: targets of every kind are learnt and predicted") {
  const float x[] = {1, 2, 3, 4, 5, 6};
  const float numbers[] = {10, 20, 30, 40, 50, 60};
  const int labels[] = {0, LOCKSTEP_NO_LABEL, 1};
  const QuickOptions options{{"epochs", "2"}};
  for (const int kind :
       {LOCKSTEP_TARGET_STEP_LABELS, LOCKSTEP_TARGET_VALUES, LOCKSTEP_TARGET_STEP_VALUES}) {
    OwnedDataset data;
    REQUIRE(lockstep_dataset_create_targets(2, kind, 2, nullptr, &data) == LOCKSTEP_OK);
    for (int i = 0; i < 4; ++i) {
      const lockstep_status status = kind == LOCKSTEP_TARGET_STEP_LABELS
                                         ? lockstep_dataset_add_steps(data, x, 3, labels)
                                         : lockstep_dataset_add_values(data, x, 3, numbers);
      REQUIRE(status == LOCKSTEP_OK);
    }
    OwnedModel model;
    REQUIRE(lockstep_model_create(data, options, &model) == LOCKSTEP_OK);
    REQUIRE(lockstep_model_train(model, data, nullptr, nullptr, nullptr, nullptr, nullptr) ==
            LOCKSTEP_OK);
    const std::size_t rows = kind == LOCKSTEP_TARGET_VALUES ? 4 : 12;
    std::vector<float> found(rows * 2);
    CHECK(lockstep_model_predict_proba(model, data, 1, found.data(), found.size()) == LOCKSTEP_OK);
    CHECK(lockstep_model_predict_proba(model, data, 1, found.data(), found.size() - 1) ==
          LOCKSTEP_INVALID_ARGUMENT);
    std::vector<int> classes(rows, -7);
    const lockstep_status status =
        lockstep_model_predict(model, data, 1, classes.data(), classes.size());
    const bool has_classes = kind == LOCKSTEP_TARGET_STEP_LABELS;
    CHECK(status == (has_classes ? LOCKSTEP_OK : LOCKSTEP_INVALID_ARGUMENT));
    CHECK(std::ranges::count(classes, -7) == (has_classes ? 0 : static_cast<int>(rows)));
    int label = 0;
    CHECK(lockstep_dataset_label(data, 0, &label) == LOCKSTEP_INVALID_ARGUMENT);
  }
  OwnedDataset none;
  CHECK(lockstep_dataset_create_targets(2, 9, 2, nullptr, &none) == LOCKSTEP_INVALID_ARGUMENT);
}

TEST_CASE("C: targets of one kind are read, weighed and measured") {
  const TemporaryDirectory directory;
  const std::string path =
      directory.write("a.csv", "sample,step,x,target\n0,0,1,5\n0,1,2,5\n1,0,3,6\n2,0,4,9\n");
  OwnedDataset data;
  REQUIRE(lockstep_dataset_read_targets(path.c_str(), LOCKSTEP_TARGET_STEP_VALUES, &data) ==
          LOCKSTEP_OK);
  OwnedDataset none;
  CHECK(lockstep_dataset_read_targets(path.c_str(), 4, &none) == LOCKSTEP_INVALID_ARGUMENT);
  CHECK(lockstep_dataset_read_targets(path.c_str(), LOCKSTEP_TARGET_STEP_LABELS, &none) ==
        LOCKSTEP_OK);  // of sequences without labels
  CHECK(lockstep_dataset_set_weight(data, 0, 2) == LOCKSTEP_OK);
  CHECK(lockstep_dataset_set_weight(data, 0, -2) == LOCKSTEP_INVALID_ARGUMENT);
  CHECK(lockstep_dataset_set_weight(data, 3, 2) == LOCKSTEP_INVALID_ARGUMENT);
  OwnedModel model;
  REQUIRE(lockstep_model_create(data, nullptr, &model) == LOCKSTEP_OK);
  lockstep_evaluation e;
  REQUIRE(lockstep_model_measure(model, data, 1, &e) == LOCKSTEP_OK);
  CHECK(e.samples == 4);
  CHECK(std::isfinite(e.loss));
  CHECK(e.rmse >= e.mae);
  CHECK(std::isfinite(e.r2));
  CHECK(std::isnan(e.accuracy));
  CHECK(std::isnan(e.balanced_accuracy));
  CHECK(lockstep_model_measure(model, data, 1, nullptr) == LOCKSTEP_INVALID_ARGUMENT);
}

TEST_CASE("C: options are set and got by name") {
  const QuickOptions options;
  char text[16];
  const auto get = [&](const char* name) {
    REQUIRE(lockstep_options_get(options, name, text, sizeof text) == LOCKSTEP_OK);
    return std::string(text);
  };
  CHECK(get("hidden") == "8");
  CHECK(get("momentum") == "auto");
  CHECK(get("schedule") == "cosine");
  lockstep_options* const handle = options;
  REQUIRE(lockstep_options_set(handle, "learning-rate", "1e-3") == LOCKSTEP_OK);
  CHECK(get("learning_rate") == "0.001");
  check_invalid(lockstep_options_set(handle, "momentum", "1"),
                "momentum: expected a number from 0 to less than 1 or auto, found '1'");
  check_invalid(lockstep_options_set(handle, "speed", "1"), "there is no option 'speed'");
  check_invalid(lockstep_options_set(handle, "momentum", nullptr), "null");
  check_invalid(lockstep_options_set(handle, nullptr, "1"), "null");
  check_invalid(lockstep_options_set(nullptr, "momentum", "1"), "null");
  check_invalid(lockstep_options_get(options, "speed", text, sizeof text), "'speed'");
  check_invalid(lockstep_options_get(options, "init", text, 10), "the value takes 11");
  CHECK(lockstep_options_get(options, "init", text, 11) == LOCKSTEP_OK);
  check_invalid(lockstep_options_get(options, "init", nullptr, 11), "null");
  check_invalid(lockstep_options_get(options, nullptr, text, 11), "null");
  check_invalid(lockstep_options_get(nullptr, "init", text, 11), "null");
  check_invalid(lockstep_options_create(nullptr), "null");
  lockstep_options_free(nullptr);
}

int note_loss(const lockstep_epoch* epoch, void* context) {
  static_cast<std::vector<double>*>(context)->push_back(epoch->loss);
  return 0;
}

TEST_CASE("C: the same data and the default options give the model of the command") {
  const TemporaryDirectory directory;
  const std::string path = (directory / "model.safetensors").string();
  Process command({LOCKSTEP_COMMAND_PATH, "train", "--dataset", "synthetic-control", "--epochs",
                   "2", "--model", path, "--quiet"});
  REQUIRE(command.wait() == 0);
  OwnedModel theirs;
  REQUIRE(lockstep_model_load(path.c_str(), &theirs) == LOCKSTEP_OK);

  OwnedDataset train;
  OwnedDataset test;
  REQUIRE(lockstep_dataset_builtin("synthetic-control", 1, &train, &test) == LOCKSTEP_OK);
  const QuickOptions options{{"hidden", "64"}, {"epochs", "2"}};
  OwnedModel ours;
  std::vector<double> losses;
  REQUIRE(lockstep_model_create(train, nullptr, &ours) == LOCKSTEP_OK);
  REQUIRE(lockstep_model_train(ours, train, nullptr, options, note_loss, &losses, nullptr) ==
          LOCKSTEP_OK);
  CHECK(losses.size() == 2);
  CHECK(losses.back() < losses.front());

  lockstep_model_info a;
  lockstep_model_info b;
  REQUIRE(lockstep_model_get_info(ours, &a) == LOCKSTEP_OK);
  REQUIRE(lockstep_model_get_info(theirs, &b) == LOCKSTEP_OK);
  CHECK((a.features == 1 && a.hidden == 64 && a.classes == 6));
  CHECK((a.layers == 1 && a.bidirectional == 0 && std::string(a.cell) == "gru"));
  CHECK(a.weights_hash == b.weights_hash);
}

lockstep_status train_on(lockstep_model* model, const lockstep_dataset* data) {
  return lockstep_model_train(model, data, nullptr, nullptr, nullptr, nullptr, nullptr);
}

// A trained model and its data.
struct Trained {
  Trained() {
    REQUIRE(lockstep_dataset_builtin("cylinder-bell-funnel", 1, &train, &test) == LOCKSTEP_OK);
    const QuickOptions options;
    REQUIRE(lockstep_model_create(train, options, &model) == LOCKSTEP_OK);
    REQUIRE(lockstep_model_train(model, train, nullptr, nullptr, nullptr, nullptr, nullptr) ==
            LOCKSTEP_OK);
    lockstep_dataset_info info;
    REQUIRE(lockstep_dataset_get_info(test, &info) == LOCKSTEP_OK);
    size = info.size;
  }
  OwnedDataset train;
  OwnedDataset test;
  OwnedModel model;
  std::size_t size = 0;
};

TEST_CASE("C: prediction standardises its inputs, as C++ does in two steps") {
  const Trained t;
  const TemporaryDirectory directory;
  const std::string path = (directory / "model.safetensors").string();
  REQUIRE(lockstep_model_save(t.model, path.c_str()) == LOCKSTEP_OK);
  const Model same = Model::load(path);
  Dataset data = make_builtin_dataset("cylinder-bell-funnel", 1).test;
  same.normalization().apply(data);

  std::vector<float> probabilities(t.size * 3);
  REQUIRE(lockstep_model_predict_proba(t.model, t.test, 0, probabilities.data(),
                                       probabilities.size()) == LOCKSTEP_OK);
  CHECK(same_bits(probabilities, predict_proba(same.parameters(), data)));
  std::vector<int> classes(t.size);
  REQUIRE(lockstep_model_predict(t.model, t.test, 1, classes.data(), t.size) == LOCKSTEP_OK);
  CHECK(classes == predict(same.parameters(), data));

  double accuracy = 0;
  double loss = 0;
  REQUIRE(lockstep_model_evaluate(t.model, t.test, 0, &accuracy, &loss) == LOCKSTEP_OK);
  std::size_t hits = 0;
  for (std::size_t i = 0; i < t.size; ++i) hits += classes[i] == data.label(i) ? 1 : 0;
  CHECK(accuracy == static_cast<double>(hits) / static_cast<double>(t.size));
  CHECK(loss > 0);
  CHECK(lockstep_model_evaluate(t.model, t.test, 0, nullptr, nullptr) == LOCKSTEP_OK);
  OwnedDataset empty;
  REQUIRE(lockstep_dataset_create(1, 0, nullptr, &empty) == LOCKSTEP_OK);
  REQUIRE(lockstep_model_evaluate(t.model, empty, 0, &accuracy, &loss) == LOCKSTEP_OK);
  CHECK((std::isnan(accuracy) && std::isnan(loss)));
  const char* name = nullptr;
  REQUIRE(lockstep_model_class_name(t.model, 2, &name) == LOCKSTEP_OK);
  CHECK(name == same.class_names()[2]);
}

TEST_CASE("C: labels are matched by the names of their classes") {
  const Trained t;
  OwnedDataset renamed;
  const char* const names[] = {"funnel", "cylinder"};
  REQUIRE(lockstep_dataset_create(1, 2, names, &renamed) == LOCKSTEP_OK);
  const std::vector<float> flat(40);
  REQUIRE(lockstep_dataset_add(renamed, flat.data(), 40, 0) == LOCKSTEP_OK);
  int predicted = -1;
  double accuracy = -1;
  REQUIRE(lockstep_model_predict(t.model, renamed, 1, &predicted, 1) == LOCKSTEP_OK);
  REQUIRE(lockstep_model_evaluate(t.model, renamed, 1, &accuracy, nullptr) == LOCKSTEP_OK);
  const char* name = nullptr;
  REQUIRE(lockstep_model_class_name(t.model, static_cast<std::size_t>(predicted), &name) ==
          LOCKSTEP_OK);
  CHECK(accuracy == (std::string(name) == "funnel" ? 1 : 0));

  OwnedDataset strange;
  REQUIRE(lockstep_dataset_create(1, 2, nullptr, &strange) == LOCKSTEP_OK);
  REQUIRE(lockstep_dataset_add(strange, flat.data(), 40, 0) == LOCKSTEP_OK);
  check_invalid(lockstep_model_evaluate(t.model, strange, 1, &accuracy, nullptr), "class '0'");
  check_invalid(train_on(t.model, strange), "class '0'");
  CHECK(lockstep_model_predict(t.model, strange, 1, &predicted, 1) == LOCKSTEP_OK);
}

TEST_CASE("C: errors of prediction") {
  const Trained t;
  std::vector<float> p(t.size * 3);
  std::vector<int> c(t.size);
  double accuracy = 0;
  check_invalid(lockstep_model_predict_proba(nullptr, t.test, 0, p.data(), p.size()), "null");
  check_invalid(lockstep_model_predict_proba(t.model, nullptr, 0, p.data(), p.size()), "null");
  check_invalid(lockstep_model_predict_proba(t.model, t.test, 0, nullptr, p.size()), "null");
  check_invalid(lockstep_model_predict_proba(t.model, t.test, 0, p.data(), p.size() - 1), "room");
  check_invalid(lockstep_model_predict_proba(t.model, t.test, -1, p.data(), p.size()), "threads");
  check_invalid(lockstep_model_predict(nullptr, t.test, 0, c.data(), c.size()), "null");
  check_invalid(lockstep_model_predict(t.model, nullptr, 0, c.data(), c.size()), "null");
  check_invalid(lockstep_model_predict(t.model, t.test, 0, nullptr, c.size()), "null");
  check_invalid(lockstep_model_predict(t.model, t.test, 0, c.data(), c.size() - 1), "room");
  check_invalid(lockstep_model_evaluate(nullptr, t.test, 0, &accuracy, nullptr), "null");
  check_invalid(lockstep_model_evaluate(t.model, nullptr, 0, &accuracy, nullptr), "null");

  OwnedDataset wide;
  REQUIRE(lockstep_dataset_create(2, 0, nullptr, &wide) == LOCKSTEP_OK);
  CHECK(lockstep_model_predict(t.model, wide, 0, nullptr, 0) == LOCKSTEP_INVALID_ARGUMENT);
  const float values[] = {1, 2};
  REQUIRE(lockstep_dataset_add(wide, values, 1, LOCKSTEP_NO_LABEL) == LOCKSTEP_OK);
  check_invalid(lockstep_model_predict(t.model, wide, 0, c.data(), 1), "channels");

  OwnedDataset unlabelled;
  REQUIRE(lockstep_dataset_create(1, 0, nullptr, &unlabelled) == LOCKSTEP_OK);
  CHECK(lockstep_model_predict(t.model, unlabelled, 0, nullptr, 0) == LOCKSTEP_OK);
  REQUIRE(lockstep_dataset_add(unlabelled, values, 2, LOCKSTEP_NO_LABEL) == LOCKSTEP_OK);
  CHECK(lockstep_model_predict(t.model, unlabelled, 0, c.data(), 1) == LOCKSTEP_OK);
  check_invalid(lockstep_model_evaluate(t.model, unlabelled, 0, &accuracy, nullptr), "no label");
}

TEST_CASE("C: errors of model handles and files") {
  const Trained t;
  const TemporaryDirectory directory;
  const std::string path = (directory / "model.safetensors").string();
  lockstep_model* none = t.model;
  check_fails(lockstep_model_load("/no/such.safetensors", &none), LOCKSTEP_FILE_ERROR, "/no/such");
  CHECK(none == nullptr);
  const auto garbage = directory.write("garbage.safetensors", "not a model");
  check_fails(lockstep_model_load(garbage.c_str(), &none), LOCKSTEP_FILE_ERROR, "garbage");
  check_invalid(lockstep_model_load(nullptr, &none), "null");
  check_invalid(lockstep_model_load(path.c_str(), nullptr), "null");
  check_invalid(lockstep_model_save(nullptr, path.c_str()), "null");
  check_invalid(lockstep_model_save(t.model, nullptr), "null");
  check_fails(lockstep_model_save(t.model, "/no/such/model.safetensors"), LOCKSTEP_FILE_ERROR,
              "/no/such/model.safetensors");
  lockstep_model_info info;
  const char* name = nullptr;
  check_invalid(lockstep_model_get_info(nullptr, &info), "null");
  check_invalid(lockstep_model_get_info(t.model, nullptr), "null");
  check_invalid(lockstep_model_class_name(nullptr, 0, &name), "null");
  check_invalid(lockstep_model_class_name(t.model, 0, nullptr), "null");
  check_invalid(lockstep_model_class_name(t.model, 3, &name), "no such class");
  lockstep_model_free(nullptr);
}

TEST_CASE("C: errors of training") {
  const Trained t;
  check_invalid(train_on(nullptr, t.train), "null");
  check_invalid(train_on(t.model, nullptr), "null");
  lockstep_model* none = nullptr;
  check_invalid(lockstep_model_create(nullptr, nullptr, &none), "null");
  check_invalid(lockstep_model_create(t.train, nullptr, nullptr), "null");

  OwnedDataset empty;
  REQUIRE(lockstep_dataset_create(1, 3, nullptr, &empty) == LOCKSTEP_OK);
  check_invalid(lockstep_model_create(empty, nullptr, &none), "no sequence");
  OwnedDataset unlabelled;
  REQUIRE(lockstep_dataset_create(1, 3, nullptr, &unlabelled) == LOCKSTEP_OK);
  const float value = 1;
  REQUIRE(lockstep_dataset_add(unlabelled, &value, 1, LOCKSTEP_NO_LABEL) == LOCKSTEP_OK);
  check_invalid(train_on(t.model, unlabelled), "no label");
}

TEST_CASE("C: a training that fails leaves the options of the model") {
  const Trained t;
  const auto epochs_of_next = [&] {
    lockstep_training training{};
    REQUIRE(lockstep_model_train(t.model, t.train, nullptr, nullptr, nullptr, nullptr, &training) ==
            LOCKSTEP_OK);
    return training.epochs;
  };
  const std::size_t before = epochs_of_next();
  const QuickOptions options{{"epochs", std::to_string(before + 1).c_str()}};
  OwnedDataset wide;
  REQUIRE(lockstep_dataset_create(2, 6, nullptr, &wide) == LOCKSTEP_OK);
  check_invalid(lockstep_model_train(t.model, wide, nullptr, options, nullptr, nullptr, nullptr),
                "channels");
  CHECK(epochs_of_next() == before);
  REQUIRE(lockstep_model_train(t.model, t.train, nullptr, options, nullptr, nullptr, nullptr) ==
          LOCKSTEP_OK);
  CHECK(epochs_of_next() == before + 1);
}

TEST_CASE("C: a callback ends the training") {
  const Trained t;
  const QuickOptions options{{"epochs", "10"}};
  int calls = 0;
  const lockstep_epoch_callback stop_at_second = [](const lockstep_epoch* epoch, void* context) {
    ++*static_cast<int*>(context);
    return epoch->epoch == 2 ? 1 : 0;
  };
  lockstep_training training{};
  CHECK(lockstep_model_train(t.model, t.train, nullptr, options, stop_at_second, &calls,
                             &training) == LOCKSTEP_OK);
  CHECK(calls == 2);
  CHECK(training.status == LOCKSTEP_TRAINING_STOPPED);
  CHECK((training.epochs == 2 && training.kept_epoch == 2));
}

// Whatever a callback throws is no error of a file or an argument.
TEST_CASE("C: what a callback throws becomes a status and a text") {
  const Trained t;
  const QuickOptions options;
  const auto check_thrown = [&](lockstep_epoch_callback callback, const char* text) {
    check_fails(
        lockstep_model_train(t.model, t.train, nullptr, options, callback, nullptr, nullptr),
        LOCKSTEP_INTERNAL_ERROR, text);
    CHECK_THAT(lockstep_last_error(), ContainsSubstring("callback"));
  };
  check_thrown([](const lockstep_epoch*, void*) -> int { throw 1; }, "none of the standard");
  check_thrown([](const lockstep_epoch*, void*) -> int { throw std::bad_cast(); }, "bad_cast");
  check_thrown([](const lockstep_epoch*, void*) -> int { throw std::bad_alloc(); }, "bad_alloc");
  check_thrown([](const lockstep_epoch*, void*) -> int { throw std::runtime_error("x1"); }, "x1");
  check_thrown([](const lockstep_epoch*, void*) -> int { throw std::logic_error("x2"); }, "x2");
}

TEST_CASE("C: a training that diverges says so and leaves finite weights") {
  const Trained t;
  const QuickOptions options{{"learning_rate", "1e300"}, {"clip_norm", "0"}};
  lockstep_training training{};
  REQUIRE(lockstep_model_train(t.model, t.train, nullptr, options, nullptr, nullptr, &training) ==
          LOCKSTEP_OK);
  CHECK(training.status == LOCKSTEP_TRAINING_DIVERGED);
  CHECK((training.epochs == 1 && training.kept_epoch == 0));
  const TemporaryDirectory directory;
  CHECK(lockstep_model_save(t.model, (directory / "model.safetensors").c_str()) == LOCKSTEP_OK);
}

TEST_CASE("C: patience keeps the weights of the smallest validation loss") {
  const Trained t;
  const QuickOptions options{
      {"epochs", "50"}, {"learning_rate", "0.5"}, {"clip_norm", "0"}, {"patience", "1"}};
  std::vector<double> losses;
  const lockstep_epoch_callback note = [](const lockstep_epoch* epoch, void* context) {
    static_cast<std::vector<double>*>(context)->push_back(epoch->validation_loss);
    return 0;
  };
  lockstep_training training{};
  REQUIRE(lockstep_model_train(t.model, t.train, t.test, options, note, &losses, &training) ==
          LOCKSTEP_OK);
  CHECK(training.status == LOCKSTEP_TRAINING_PATIENCE);
  CHECK(training.epochs == losses.size());
  double loss = 0;
  REQUIRE(lockstep_model_evaluate(t.model, t.test, 0, nullptr, &loss) == LOCKSTEP_OK);
  CHECK(loss == losses.at(training.kept_epoch - 1));
  check_invalid(lockstep_model_train(t.model, t.train, nullptr, options, nullptr, nullptr, nullptr),
                "patience");
}

TEST_CASE("C: a text that is too long is cut off between characters") {
  for (std::size_t offset = 0; offset < 3; ++offset) {
    std::string path(offset, 'a');
    while (path.size() < 2 * LOCKSTEP_ERROR_BYTES) path += "\xe2\x82\xac";
    lockstep_dataset* dataset = nullptr;
    CHECK(lockstep_dataset_read(path.c_str(), &dataset) == LOCKSTEP_FILE_ERROR);
    const std::string text = lockstep_last_error();
    CHECK(text.size() < LOCKSTEP_ERROR_BYTES);
    CHECK(text.size() + 3 >= LOCKSTEP_ERROR_BYTES);
    CHECK(text == path.substr(0, text.size()));
    CHECK((text.size() - offset) % 3 == 0);
  }
}

}  // namespace
}  // namespace lockstep
