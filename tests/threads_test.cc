#include "lockstep/threads.h"

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cfenv>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <stdexcept>
#include <thread>

#include "backend_scope.h"
#include "catch.h"
#include "guarded_matrix.h"
#include "lockstep/elementwise.h"
#include "lockstep/gemm.h"
#include "lockstep/softmax.h"
#include "system/thread_limits.h"
#include "temporary_directory.h"

namespace lockstep {
namespace {

TEST_CASE("shares cover all items once and differ by one at most") {
  for (const std::size_t count : {0u, 1u, 2u, 7u, 64u, 1000u}) {
    for (const int size : {1, 2, 3, 8, 65}) {
      CAPTURE(count, size);
      std::size_t next = 0;
      for (int i = 0; i < size; ++i) {
        const Range mine = share(count, i, size);
        CHECK(mine.begin == next);
        const std::size_t least = count / static_cast<std::size_t>(size);
        CHECK((mine.end - mine.begin == least || mine.end - mine.begin == least + 1));
        next = mine.end;
      }
      CHECK(next == count);
    }
  }
}

TEST_CASE("parallel runs each index of the team once, in one team") {
  for (const int threads : {1, 2, 3, 8}) {
    std::vector<std::atomic<int>> calls(static_cast<std::size_t>(threads));
    std::atomic<int> size{0};
    parallel(threads, [&](const Team& team) {
      ++calls[static_cast<std::size_t>(team.index())];
      size = team.size();
    });
    CAPTURE(threads);
    REQUIRE((size >= 1 && size <= threads));
    for (int i = 0; i < threads; ++i)
      CHECK(calls[static_cast<std::size_t>(i)] == (i < size ? 1 : 0));
  }
}

TEST_CASE("nobody passes a barrier before all are there") {
  std::atomic<int> arrived{0};
  std::atomic<int> early{0};
  parallel(4, [&](const Team& team) {
    for (int round = 1; round <= 20; ++round) {
      ++arrived;
      team.barrier();
      if (arrived < round * team.size()) ++early;
      team.barrier();
    }
  });
  CHECK(early == 0);
}

TEST_CASE("the halves of a team have indices and barriers of their own") {
  for (const int threads : {2, 4, 6}) {
    std::array<std::atomic<int>, 2> passed{};
    std::array<std::atomic<int>, 2> arrived{};
    std::atomic<int> wrong = 0;
    parallel(threads, [&](const Team& team) noexcept {
      if (team.size() != threads) return;  // the system granted fewer
      const std::size_t which = team.index() < threads / 2 ? 0 : 1;
      const Team half = team.half();
      if (half.size() != threads / 2) ++wrong;
      if (half.index() != team.index() - static_cast<int>(which) * threads / 2) ++wrong;
      // The upper half passes more barriers than the lower one.
      for (std::size_t round = 1; round <= 1 + 5 * which; ++round) {
        ++arrived[which];
        half.barrier();
        if (arrived[which] < half.size() * static_cast<int>(round)) ++wrong;
        half.barrier();
      }
      ++passed[which];
      team.barrier();
      if (passed[0] + passed[1] != threads) ++wrong;
    });
    CHECK(wrong == 0);
  }
}

TEST_CASE("an exception of any thread is rethrown to the caller") {
  for (const int threads : {1, 2, 5}) {
    std::atomic<int> ended{0};
    std::atomic<int> size{0};
    const auto throw_from_last = [&] {
      parallel(threads, [&](const Team& team) {
        size = team.size();
        if (team.index() == team.size() - 1) throw std::out_of_range("from a worker");
        ++ended;
      });
    };
    CHECK_THROWS_AS(throw_from_last(), std::out_of_range);
    CHECK(ended == size - 1);
  }
}

// The modes are told by what arithmetic does, since fegetround asks another unit on x86.
bool rounds_upward() {
  const volatile float one = 1;
  const volatile float tiny = 0x1p-30f;
  return one + tiny > 1;
}
bool flushes_denormals() {
  const volatile float smallest = std::numeric_limits<float>::min();
  const volatile float half = 0.5f;
  return smallest * half == 0;
}

struct Modes {
  bool upward = rounds_upward();
  bool flush = flushes_denormals();
  bool operator==(const Modes&) const = default;
};

// Runs a team and says whether all of its threads are in the same modes as the caller.
bool workers_share_modes() {
  const Modes caller;
  std::atomic<bool> same{true};
  parallel(3, [&](const Team&) {
    if (!(Modes{} == caller)) same = false;
  });
  return same && Modes{} == caller;
}

TEST_CASE("workers run in the floating-point mode of their caller, each time anew") {
  const Modes usual;
  CHECK_FALSE(usual.upward);
  CHECK_FALSE(usual.flush);
  CHECK(workers_share_modes());
  std::fesetround(FE_UPWARD);
  const bool changed = rounds_upward();
  const bool same_upward = workers_share_modes();
  std::fesetround(FE_TONEAREST);
  CHECK(changed);
  CHECK(same_upward);
  CHECK(workers_share_modes());
  {
    const FlushDenormals flush;
    CHECK(flushes_denormals());
    CHECK(workers_share_modes());
  }
  CHECK(workers_share_modes());
  CHECK(Modes{} == usual);
}

TEST_CASE("a worker that changes its mode leaves no trace in the next team") {
  parallel(3, [](const Team&) { std::fesetround(FE_UPWARD); });
  std::fesetround(FE_TONEAREST);
  CHECK(workers_share_modes());
}

TEST_CASE("FlushDenormals nests") {
  {
    const FlushDenormals outer;
    {
      const FlushDenormals inner;
    }
    CHECK(flushes_denormals());
  }
  CHECK_FALSE(flushes_denormals());
}

// x86 asks whether a result is tiny after rounding, AArch64 before.
TEST_CASE("FlushDenormals keeps what rounds up to the smallest normal number on x86 only") {
  volatile float above = 0x1.000002p-126f;
  volatile float below_one = 0x1.fffffcp-1f;
  const FlushDenormals flush;
#if defined(__x86_64__)
  CHECK(above * below_one == 0x1p-126f);
#elif defined(__aarch64__)
  CHECK(above * below_one == 0.0f);
#endif
}

TEST_CASE("resolve_threads") {
  CHECK(default_threads().count >= 1);
  CHECK_FALSE(default_threads().reason.empty());
  CHECK(resolve_threads(0) == default_threads().count);
  CHECK(resolve_threads(1) == 1);
  CHECK_THROWS_AS(resolve_threads(-1), std::invalid_argument);
  CHECK_THROWS_WITH(resolve_threads(-3), ContainsSubstring("-3"));
  CHECK(resolve_threads(5) == 5);
  std::atomic<int> nested{0};
  parallel(2, [&](const Team& team) {
    if (team.index() == 0) nested = team.size() == 2 ? resolve_threads(0) : 1;
  });
  CHECK(nested == 1);
}

TEST_CASE("set_default_threads says what 0 threads are, until it is 0 itself") {
  const int own = resolve_threads(0);
  set_default_threads(7);
  CHECK(resolve_threads(0) == 7);
  CHECK(resolve_threads(2) == 2);
  for (const int wrong : {-1, kMaxThreads + 1}) {
    CHECK_THROWS_AS(set_default_threads(wrong), std::invalid_argument);
    CHECK(resolve_threads(0) == 7);
  }
  std::atomic<int> nested{0};
  parallel(2, [&](const Team& team) {
    if (team.index() == 0) nested = team.size() == 2 ? resolve_threads(0) : 1;
  });
  CHECK(nested == 1);
  set_default_threads(0);
  CHECK(resolve_threads(0) == own);
  CHECK(default_threads().count == own);
}

void write(const std::filesystem::path& file, const std::string& text) {
  std::ofstream(file) << text;
}

TEST_CASE("the CPU quota is the smallest on the way down to the group, control groups 2") {
  const TemporaryDirectory root;
  std::filesystem::create_directories(root / "a/b");
  const std::string group = "0::/a/b\n";
  CHECK(read_cpu_quota(group, root / "") == std::nullopt);
  write(root / "a/b/cpu.max", "max 100000\n");
  CHECK(read_cpu_quota(group, root / "") == std::nullopt);
  write(root / "a/b/cpu.max", "400000 100000\n");
  CHECK(read_cpu_quota(group, root / "") == 4.0);
  write(root / "a/cpu.max", "150000 100000\n");
  CHECK(read_cpu_quota(group, root / "") == 1.5);
  write(root / "cpu.max", "800000 100000\n");
  CHECK(read_cpu_quota(group, root / "") == 1.5);
  CHECK(read_cpu_quota("0::/\n", root / "") == 8.0);
  CHECK(read_cpu_quota("0::/not/mounted/here\n", root / "") == 8.0);
  write(root / "a/b/cpu.max", "nonsense\n");
  CHECK(read_cpu_quota(group, root / "") == 1.5);
}

TEST_CASE("the CPU quota of control groups 1") {
  const TemporaryDirectory root;
  for (const std::string controller : {"cpu", "cpu,cpuacct"}) {
    const std::string lines = "12:memory:/job\n4:" + controller + ":/job\n1:name=systemd:/\n";
    std::filesystem::create_directories(root / (controller + "/job"));
    write(root / (controller + "/cpu.cfs_period_us"), "100000\n");
    write(root / (controller + "/cpu.cfs_quota_us"), "-1\n");
    CHECK(read_cpu_quota(lines, root / "") == std::nullopt);
    write(root / (controller + "/job/cpu.cfs_period_us"), "50000\n");
    write(root / (controller + "/job/cpu.cfs_quota_us"), "125000\n");
    CHECK(read_cpu_quota(lines, root / "") == 2.5);
    CHECK(read_cpu_quota("4:cpuset:/job\n", root / "") == std::nullopt);
    std::filesystem::remove_all(root / controller);
  }
}

TEST_CASE("text that is no list of control groups gives no quota") {
  const TemporaryDirectory root;
  write(root / "cpu.max", "100000 100000\n");
  for (const std::string text : {"", "\n", "0", "0:", "no colon at all"}) {
    CAPTURE(text);
    CHECK(read_cpu_quota(text, root / "") == std::nullopt);
  }
}

TEST_CASE("choose_threads takes the smallest limit and says which it was") {
  const auto choose = [](int cpus, std::optional<double> quota, std::optional<int> requested,
                         int cores = 1 << 20) {
    const ThreadChoice choice = choose_threads({cpus, std::min(cpus, cores), quota, requested});
    return std::to_string(choice.count) + ": " + choice.reason;
  };
  CHECK(choose(8, {}, {}) == "8: CPUs this process may run on");
  CHECK(choose(8, 2.5, {}) == "3: CPU quota of the container (2.5 cores)");
  CHECK(choose(8, 0.1, {}) == "1: CPU quota of the container (0.1 cores)");
  CHECK(choose(2, 16.0, {}) == "2: CPUs this process may run on");
  CHECK(choose(8, 4.0, 2) == "2: OMP_NUM_THREADS");
  CHECK(choose(8, 4.0, 6) == "4: CPU quota of the container (4 cores)");
  CHECK(choose(4, {}, 16) == "4: CPUs this process may run on");
  CHECK(choose(8, {}, {}, 4) == "4: physical cores of the 8 CPUs this process may run on");
  CHECK(choose(8, 2.5, {}, 4) == "3: CPU quota of the container (2.5 cores)");
  CHECK(choose(8, {}, 6, 4) == "6: OMP_NUM_THREADS");
  CHECK(choose(8, {}, 16, 4) == "8: CPUs this process may run on");
  CHECK(choose(5000, {}, {}) == "1024: most threads of a call");
}

TEST_CASE("physical cores are counted by the siblings of each CPU") {
  const TemporaryDirectory root;
  const std::vector<std::string> siblings = {"0,4", "1,5", "2-3", "2-3", "0,4", "1,5"};
  for (std::size_t cpu = 0; cpu < siblings.size(); ++cpu) {
    const std::filesystem::path topology = root / ("cpu" + std::to_string(cpu) + "/topology");
    std::filesystem::create_directories(topology);
    write(topology / "thread_siblings_list", siblings[cpu] + "\n");
  }
  CHECK(count_cores({0, 1, 2, 3, 4, 5}, root / "") == 3);
  CHECK(count_cores({0, 4}, root / "") == 1);
  CHECK(count_cores({1, 2}, root / "") == 2);
  CHECK(count_cores({7, 8, 9}, root / "") == 3);  // the system does not say
}

// One result of every kernel, from inputs that `seed` draws.
std::vector<float> kernel_results(std::uint64_t seed) {
  const GuardedMatrix a = normal_matrix(31, 45, seed);
  const GuardedMatrix b = normal_matrix(45, 77, seed + 1);
  std::vector<float> c(31 * 77);
  gemm(Transpose::no, Transpose::no, 31, 77, 45, 0.5f, a.data(), 45, b.data(), 77, 0, c.data(), 77);
  PackedMatrix packed(45, 77);
  packed.pack(Transpose::no, b.data(), 77);
  PackedGemm g;
  g.m = 31;
  g.a = a.data();
  g.lda = 45;
  g.start = c.data();
  g.start_stride = 77;
  g.c = c.data();
  g.ldc = 77;
  g.epilogue = Epilogue::tanh;
  gemm_packed(g, packed);
  exp(c.data(), c.data(), 500);
  softmax(31, 77, c.data(), 77, c.data(), 77);
  return c;
}

TEST_CASE("kernels called from many threads at once give the bits of a serial call") {
  constexpr std::size_t kThreads = 6;
  std::vector<std::vector<float>> expected;
  for (std::size_t i = 0; i < kThreads; ++i) expected.push_back(kernel_results(i));
  std::array<std::atomic<int>, kThreads> wrong{};
  std::vector<std::thread> workers;
  for (std::size_t i = 0; i < kThreads; ++i) {
    workers.emplace_back([&, i] {
      for (int round = 0; round < 20; ++round) {
        if (!same_bits(kernel_results(i), expected[i])) ++wrong[i];
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  for (const std::atomic<int>& count : wrong) CHECK(count == 0);
}

#if defined(__linux__)
int cpus_of_this_thread() {
  cpu_set_t cpus;
  return ::sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? CPU_COUNT(&cpus) : -1;
}

// More threads than any case before, so that some are started by the thread that is bound.
TEST_CASE("threads serve later callers on all CPUs, whoever was bound when they were started") {
  const int all = cpus_of_this_thread();
  std::thread([] {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<std::size_t>(::sched_getcpu()), &one);
    ::sched_setaffinity(0, sizeof one, &one);
    parallel(12, [](const Team&) {});
  }).join();
  std::atomic<int> bound{0};
  parallel(12, [&](const Team&) { bound += cpus_of_this_thread() == all ? 0 : 1; });
  CHECK((bound == 0 || std::getenv("OMP_PROC_BIND") != nullptr));
}
#endif

// OpenMP's threads are the parent's, while those of std::thread are started anew.
TEST_CASE("a child that is forked after a team works, on one thread with OpenMP") {
  const int expected_size = std::string(threading()) == "OpenMP" ? 1 : 3;
  std::atomic<int> calls{0};
  parallel(3, [&](const Team&) { ++calls; });
  const std::vector<float> expected = kernel_results(1);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::alarm(60);  // ends a child that waits for threads it does not have
    std::atomic<int> size = 0;
    parallel(3, [&](const Team& team) { size = team.size(); });
    const bool as_said = size == expected_size && resolve_threads(3) == expected_size;
    ::_exit(as_said && same_bits(kernel_results(1), expected) ? 0 : 1);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  const int before = calls;
  parallel(3, [&](const Team&) { ++calls; });
  CHECK(calls > before);  // the parent has its threads
}

}  // namespace
}  // namespace lockstep
