#include "lockstep/backend.h"

#include <algorithm>
#include <atomic>
#include <cctype>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <thread>

#include "backend_scope.h"
#include "catch.h"
#include "dispatch.h"
#include "floats.h"
#include "lockstep/elementwise.h"
#include "lockstep/gemm.h"
#include "lockstep/softmax.h"
#include "process.h"

namespace lockstep {
namespace {

TEST_CASE("the list of backends is ordered, best first, and ends with the reference") {
  const std::vector<std::string> best_first{"highway/avx3",    "xsimd/avx512",
                                            "highway/avx2",    "xsimd/avx2",
                                            "highway/sse4",    "xsimd/sse4",
                                            "highway/ssse3",   "highway/sse2",
                                            "highway/sve_256", "highway/sve2",
                                            "highway/sve",     "highway/neon_bf16",
                                            "highway/neon",    "highway/neon_without_aes",
                                            "xsimd/neon64",    "highway/sve2_128",
                                            "reference"};
  auto place = best_first.begin();
  for (const BackendInfo& b : backends()) {
    CAPTURE(b.name);
    place = std::find(place, best_first.end(), b.name);
    REQUIRE(place != best_first.end());
    CHECK((b.lanes > 0) == b.runnable);
    CHECK((b.runnable || !b.fused));
  }
  const BackendInfo last = backends().back();
  CHECK(last.name == "reference");
  CHECK(last.runnable);
  CHECK_FALSE(last.fused);
}

TEST_CASE("the best backend that runs is active by default", "[optional]") {
  if (getenv("LOCKSTEP_BACKEND") != nullptr) LOCKSTEP_SKIP("LOCKSTEP_BACKEND names another");
  set_backend("");
  CHECK(active_backend().name == runnable_backends().front());
}

// Under an emulator: that it plays the CPU that was asked for.
TEST_CASE("the backend that the caller of the tests expects runs, with its number of lanes",
          "[optional]") {
  const char* expected = getenv("LOCKSTEP_TEST_EXPECTS");
  if (expected == nullptr) LOCKSTEP_SKIP("LOCKSTEP_TEST_EXPECTS names none");
  std::vector<std::string> found;
  for (const BackendInfo& b : backends()) {
    if (b.runnable) found.push_back(std::string(b.name) + " " + std::to_string(b.lanes));
  }
  CAPTURE(expected);
  CHECK_THAT(found, Catch::Matchers::VectorContains(std::string(expected)));
}

TEST_CASE("set_backend forces each backend that runs") {
  for (const BackendInfo& b : backends()) {
    if (!b.runnable) continue;
    const BackendScope scope(b.name);
    CHECK(active_backend().name == b.name);
    CHECK(active_backend().lanes == b.lanes);
    CHECK(active_backend().fused == b.fused);
  }
}

TEST_CASE("a backend that is unknown or cannot run is an error that lists those that do") {
  const BackendScope scope("reference");
  std::vector<std::string> wrong{"no/such", "avx2", "Reference", " "};
  for (const BackendInfo& b : backends()) {
    if (!b.runnable) wrong.emplace_back(b.name);
  }
  for (const std::string& name : wrong) {
    CAPTURE(name);
    CHECK_THROWS_AS(set_backend(name), std::invalid_argument);
    CHECK_THROWS_WITH(set_backend(name), ContainsSubstring("\"" + name + "\""));
    for (const std::string& good : runnable_backends()) {
      CHECK_THROWS_WITH(set_backend(name), ContainsSubstring(" " + good));
    }
    CHECK(active_backend().name == "reference");
  }
}

TEST_CASE("ThreadBackend holds for its thread and its scope only") {
  const std::string usual(active_backend().name);
  const std::string other = runnable_backends().back();
  {
    const ThreadBackend scope(other);
    CHECK(active_backend().name == other);
    const float x = 1;
    float y = 0;
    lockstep::tanh(&x, &y, 1);
    CHECK(last_backend() == other);
    std::string elsewhere;
    std::thread([&] { elsewhere = active_backend().name; }).join();
    CHECK(elsewhere == usual);
    {
      const ThreadBackend inner(usual);
      CHECK(active_backend().name == usual);
      CHECK_THROWS_AS(ThreadBackend("no/such"), std::invalid_argument);
      CHECK_THROWS_AS(ThreadBackend(""), std::invalid_argument);
      CHECK(active_backend().name == usual);
    }
    CHECK(active_backend().name == other);
  }
  CHECK(active_backend().name == usual);
}

TEST_CASE("LOCKSTEP_BACKEND names the default backend, which set_backend overrules") {
  for (const std::string& name : runnable_backends()) {
    const EnvironmentScope environment(name);
    set_backend("");
    CHECK(active_backend().name == name);
    set_backend("reference");
    CHECK(active_backend().name == "reference");
  }
}

TEST_CASE("a wrong LOCKSTEP_BACKEND is an error") {
  const EnvironmentScope environment("no/such");
  CHECK_THROWS_AS(set_backend(""), std::invalid_argument);
  CHECK_THROWS_WITH(set_backend(""), ContainsSubstring("\"no/such\""));
}

TEST_CASE("LOCKSTEP_BACKEND holds from the first call of a process") {
  for (const std::string& name : runnable_backends()) {
    Process command({LOCKSTEP_COMMAND_PATH, "info", "--json"}, {"LOCKSTEP_BACKEND=" + name});
    REQUIRE(command.wait() == 0);
    const auto info = nlohmann::json::parse(command.out());
    for (const auto& backend : info["backends"]) {
      CHECK(backend["active"] == (backend["name"] == name));
    }
  }
}

// Calls every kernel once; afterwards each must have run on `name`.
void check_kernels_ran_on(const std::string& name) {
  const auto ran_on = [&](auto kernel) {
    {
      const BackendScope other("reference");
      float x = 0;
      tanh(&x, &x, 1);
    }
    set_backend(name);
    kernel();
    return std::string(last_backend());
  };
  float x[64] = {};
  double loss = 0;
  const int label = 0;
  PackedMatrix b(1, 1);
  CHECK(ran_on([&] { tanh(x, x, 1); }) == name);
  CHECK(ran_on([&] { exp(x, x, 1); }) == name);
  CHECK(ran_on([&] { softmax(1, 1, x, 1, x, 1); }) == name);
  CHECK(ran_on([&] { softmax_cross_entropy(1, 1, x, 1, &label, x, 1, &loss); }) == name);
  CHECK(ran_on([&] {
          gemm(Transpose::no, Transpose::no, 1, 1, 1, 1, x, 1, x + 1, 1, 0, x + 2, 1);
        }) == name);
  CHECK(ran_on([&] {
          PackedMatrix packed(1, 1);
          packed.pack(Transpose::no, x, 1);
          PackedGemm g;
          g.m = g.lda = g.ldc = 1;
          g.a = x;
          g.c = x + 1;
          gemm_packed(g, packed);
        }) == name);
  CHECK(ran_on([&] { gemm_accumulate_transposed(1, 1, x, 1, x + 16, 1, x + 32, 1, 0, 1); }) ==
        name);
}

TEST_CASE("every kernel runs on the forced backend") {
  for (const std::string& name : runnable_backends()) {
    CAPTURE(name);
    const BackendScope scope(name);
    check_kernels_ran_on(name);
  }
}

TEST_CASE("last_backend is that of the calling thread") {
  const BackendScope scope("reference");
  float x = 0;
  tanh(&x, &x, 1);
  std::string_view before = "not asked";
  std::thread([&] { before = last_backend(); }).join();
  CHECK(before.empty());
  CHECK(last_backend() == "reference");
}

template <class Kernel>
std::size_t count_different(Kernel kernel_of) {
  std::set<decltype(kernel_of(backend_named("reference")))> all;
  for (const std::string& name : runnable_backends()) all.insert(kernel_of(backend_named(name)));
  return all.size();
}

TEST_CASE("each backend has kernels of its own") {
  const std::size_t count = runnable_backends().size();
  CHECK(count_different([](const Backend& b) { return +b.gemm_strip; }) == count);
  CHECK(count_different([](const Backend& b) { return +b.tanh; }) == count);
  CHECK(count_different([](const Backend& b) { return +b.exp; }) == count);
  CHECK(count_different([](const Backend& b) { return +b.softmax; }) == count);
}

TEST_CASE("a backend's table is of the library and target in its name") {
  for (const std::string& name : runnable_backends()) {
    const Backend& table = backend_named(name);
    CAPTURE(name, table.library, table.target);
    std::string described = std::string(table.library) + "/" + table.target;
    std::ranges::transform(described, described.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    const auto plain = [](std::string text) {
      std::erase(text, '.');
      return text;
    };
    CHECK((name == "reference" || plain(described).starts_with(plain(name))));
    CHECK(table.panel % table.lanes == 0);
    CHECK(kVirtualLanes % table.lanes == 0);
  }
}

TEST_CASE("the backend can change while other threads run kernels") {
  const std::vector<float> x = normal_floats(333, 1);
  std::vector<std::vector<float>> possible;
  for (const std::string& name : runnable_backends()) {
    const BackendScope scope(name);
    possible.emplace_back(x.size());
    tanh(x.data(), possible.back().data(), x.size());
  }
  std::atomic<int> wrong{0};
  std::vector<std::thread> workers;
  for (int i = 0; i < 3; ++i) {
    workers.emplace_back([&] {
      std::vector<float> y(x.size());
      for (int round = 0; round < 300; ++round) {
        tanh(x.data(), y.data(), x.size());
        if (std::ranges::find(possible, y) == possible.end()) ++wrong;
      }
    });
  }
  for (int round = 0; round < 50; ++round) {
    for (const std::string& name : runnable_backends()) set_backend(name);
  }
  for (std::thread& worker : workers) worker.join();
  set_backend("");
  CHECK(wrong == 0);
}

}  // namespace
}  // namespace lockstep
