#include "machine.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <map>
#include <string>
#include <utility>

#include "lockstep/aligned_vector.h"
#include "lockstep/backend.h"
#include "lockstep/threads.h"
#include "lockstep/version.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace lockstep::bench {
namespace {

// Twelve chains: more than latency times units of any core so far (Zen 4: 4 x 1 at 512 bits, 4 x 2
// at 256; Golden Cove 4 x 2), few enough for 16 registers.
constexpr std::size_t kChains = 12;

// One loop for each width. They stand in this file under target attributes, so that it needs no
// compiler flags of its own.
#define LOCKSTEP_LIMIT_LOOPS(suffix, attribute, Vector, set, fma, load, store)    \
  attribute float fma_chains_##suffix(std::size_t rounds, float factor) {         \
    const Vector x = set(factor);                                                 \
    const Vector y = set(0.5f);                                                   \
    /* All different, or the compiler computes one chain for all. */              \
    Vector c0 = set(0.0f), c1 = set(0.1f), c2 = set(0.2f), c3 = set(0.3f);        \
    Vector c4 = set(0.4f), c5 = set(0.5f), c6 = set(0.6f), c7 = set(0.7f);        \
    Vector c8 = set(0.8f), c9 = set(0.9f), c10 = set(1.1f), c11 = set(1.2f);      \
    for (std::size_t i = 0; i < rounds; ++i) {                                    \
      c0 = fma(c0, x, y), c1 = fma(c1, x, y), c2 = fma(c2, x, y);                 \
      c3 = fma(c3, x, y), c4 = fma(c4, x, y), c5 = fma(c5, x, y);                 \
      c6 = fma(c6, x, y), c7 = fma(c7, x, y), c8 = fma(c8, x, y);                 \
      c9 = fma(c9, x, y), c10 = fma(c10, x, y), c11 = fma(c11, x, y);             \
    }                                                                             \
    /* Every chain has to reach memory, or the compiler drops it. */              \
    float out[kChains * sizeof(Vector) / sizeof(float)];                          \
    constexpr std::size_t kLanes = sizeof(Vector) / sizeof(float);                \
    store(out, c0), store(out + kLanes, c1), store(out + 2 * kLanes, c2);         \
    store(out + 3 * kLanes, c3), store(out + 4 * kLanes, c4);                     \
    store(out + 5 * kLanes, c5), store(out + 6 * kLanes, c6);                     \
    store(out + 7 * kLanes, c7), store(out + 8 * kLanes, c8);                     \
    store(out + 9 * kLanes, c9), store(out + 10 * kLanes, c10);                   \
    store(out + 11 * kLanes, c11);                                                \
    benchmark::DoNotOptimize(out);                                                \
    return out[0];                                                                \
  }                                                                               \
  attribute void copy_##suffix(const float* from, float* to, std::size_t count) { \
    constexpr std::size_t kLanes = sizeof(Vector) / sizeof(float);                \
    for (std::size_t i = 0; i < count; i += 4 * kLanes) {                         \
      const Vector v0 = load(from + i), v1 = load(from + i + kLanes);             \
      const Vector v2 = load(from + i + 2 * kLanes);                              \
      const Vector v3 = load(from + i + 3 * kLanes);                              \
      store(to + i, v0), store(to + i + kLanes, v1);                              \
      store(to + i + 2 * kLanes, v2), store(to + i + 3 * kLanes, v3);             \
    }                                                                             \
  }

#if defined(__x86_64__)
#define LOCKSTEP_MULTIPLY_ADD(a, b, c) _mm_add_ps(_mm_mul_ps(a, b), c)
LOCKSTEP_LIMIT_LOOPS(16, __attribute__((target("avx512f"))), __m512, _mm512_set1_ps,
                     _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_storeu_ps)
LOCKSTEP_LIMIT_LOOPS(8, __attribute__((target("avx2,fma"))), __m256, _mm256_set1_ps,
                     _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_storeu_ps)
LOCKSTEP_LIMIT_LOOPS(4, , __m128, _mm_set1_ps, LOCKSTEP_MULTIPLY_ADD, _mm_loadu_ps, _mm_storeu_ps)
#elif defined(__aarch64__)
#define LOCKSTEP_NEON_FMA(a, b, c) vfmaq_f32(c, a, b)
LOCKSTEP_LIMIT_LOOPS(4, , float32x4_t, vdupq_n_f32, LOCKSTEP_NEON_FMA, vld1q_f32, vst1q_f32)
#else
#define LOCKSTEP_SCALAR_FMA(a, b, c) ((a) * (b) + (c))
#define LOCKSTEP_SCALAR_LOAD(p) (*(p))
#define LOCKSTEP_SCALAR_STORE(p, x) (*(p) = (x))
#define LOCKSTEP_SCALAR_SET(x) (x)
LOCKSTEP_LIMIT_LOOPS(4, , float, LOCKSTEP_SCALAR_SET, LOCKSTEP_SCALAR_FMA, LOCKSTEP_SCALAR_LOAD,
                     LOCKSTEP_SCALAR_STORE)
#endif

void run_copy(const float* from, float* to, std::size_t count) {
#if defined(__x86_64__)
  if (widest_lanes() == 16) return copy_16(from, to, count);
  if (widest_lanes() == 8) return copy_8(from, to, count);
#endif
  copy_4(from, to, count);
}

// The best rate of several short runs by a team: what interrupts one run does not touch the best.
// `work` is done by each thread and returns what one thread has done.
template <class Work>
double best_rate(int runs, int threads, const Work& work) {
  double best = 0;
  for (int run = 0; run < runs; ++run) {
    const auto start = std::chrono::steady_clock::now();
    double done = 0;
    parallel(threads, [&](const Team& team) {
      const double mine = work(team);
      if (team.index() == 0) done = mine * team.size();
    });
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    best = std::max(best, done / elapsed.count());
  }
  return best;
}

// Of the limits that every share of peak refers to.
constexpr int kLimitRuns = 40;

// Not at the same place within a page, or loads would wait for the stores before them.
constexpr std::size_t kCopyOffset = 1040;

std::size_t bytes_of(const benchmark::CPUInfo::CacheInfo& cache) {
  return static_cast<std::size_t>(cache.size);
}

std::string cpu_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(": ");
    if (colon != std::string::npos && line.starts_with("model name")) return line.substr(colon + 2);
  }
  return "unknown";
}

std::string first_word(const char* path, const std::string& otherwise) {
  std::ifstream file(path);
  std::string word;
  return file >> word ? word : otherwise;
}

}  // namespace

namespace {
std::size_t g_allowed_lanes = SIZE_MAX;

std::size_t lanes_of_cpu() {
#if defined(__x86_64__)
  // Tells what the operating system saves, too.
  if (__builtin_cpu_supports("avx512f")) return 16;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return 8;
#endif
  return 4;
}
}  // namespace

void restrict_lanes(std::size_t lanes) { g_allowed_lanes = lanes; }

std::size_t widest_lanes() {
  static const std::size_t of_cpu = lanes_of_cpu();
  return std::min(of_cpu, g_allowed_lanes);
}

void empty_caches() {
  AlignedVector<float> memory(4 * last_level_cache() / sizeof(float), 1.0f);
  benchmark::DoNotOptimize(memory.data());
}

double run_fma_chains(std::size_t lanes, std::size_t rounds) {
  constexpr float kFactor = 0.5f;  // the chains converge to 1: no denormals, no overflow
  float last = 0;
#if defined(__x86_64__)
  if (lanes >= 16) {
    last = fma_chains_16(rounds, kFactor);
  } else if (lanes >= 8) {
    last = fma_chains_8(rounds, kFactor);
  } else {
    last = fma_chains_4(rounds, kFactor);
  }
#else
  last = fma_chains_4(rounds, kFactor);
#endif
  benchmark::DoNotOptimize(last);
  return 2.0 * static_cast<double>(rounds * kChains * std::max<std::size_t>(lanes, 4));
}

double peak_flops(std::size_t lanes, int threads) {
  static std::map<std::pair<std::size_t, int>, double> known;
  double& peak = known[{lanes, threads}];
  constexpr std::size_t kRounds = 1 << 20;  // some milliseconds
  if (peak == 0) {
    peak =
        best_rate(kLimitRuns, threads, [&](const Team&) { return run_fma_chains(lanes, kRounds); });
  }
  return peak;
}

double calibration_flops(int threads) {
  constexpr int kRuns = 8;
  constexpr std::size_t kRounds = 1 << 14;  // 27 microseconds at 3.7 GHz, two FMAs a cycle
  const std::size_t lanes = std::min<std::size_t>(widest_lanes(), 8);
  return best_rate(kRuns, threads, [&](const Team&) { return run_fma_chains(lanes, kRounds); });
}

CopyLoop::CopyLoop(std::size_t working_set, int threads) {
  constexpr std::size_t kStep = 64;  // floats per round of the widest loop
  const auto team_size = static_cast<std::size_t>(threads);
  count_ = std::max<std::size_t>(1, working_set / 8 / team_size / kStep) * kStep;
  passes_ = std::max<std::size_t>(1, (std::size_t{1} << 21) / count_);
  from_.assign(team_size, AlignedVector<float>(count_, 1.0f));
  to_.assign(team_size, AlignedVector<float>(count_ + kCopyOffset, 1.0f));
}

double CopyLoop::run(int thread) {
  const auto i = static_cast<std::size_t>(thread);
  for (std::size_t pass = 0; pass < passes_; ++pass) {
    run_copy(from_[i].data(), to_[i].data() + kCopyOffset, count_);
    benchmark::ClobberMemory();
  }
  return static_cast<double>(passes_ * count_) * 8;
}

std::vector<std::size_t> copy_working_sets(int threads) {
  std::vector<std::size_t> sets = {4 * last_level_cache()};
  for (const benchmark::CPUInfo::CacheInfo& cache : benchmark::CPUInfo::Get().caches) {
    const std::size_t sharers = cache.level < 3 ? static_cast<std::size_t>(threads) : 1;
    if (cache.type != "Instruction") sets.push_back(bytes_of(cache) * sharers / 2);
  }
  std::sort(sets.begin(), sets.end());
  sets.erase(std::unique(sets.begin(), sets.end()), sets.end());
  return sets;
}

double copy_bandwidth(std::size_t working_set, int threads) {
  static std::map<std::pair<std::size_t, int>, double> known;
  const std::vector<std::size_t> sets = copy_working_sets(threads);
  const auto holds = [&](std::size_t set) { return 2 * set >= working_set; };
  const auto level = std::find_if(sets.begin(), sets.end() - 1, holds);
  double& bandwidth = known[{*level, threads}];
  if (bandwidth == 0) {
    CopyLoop copy(*level, threads);
    bandwidth =
        best_rate(kLimitRuns, threads, [&](const Team& team) { return copy.run(team.index()); });
  }
  return bandwidth;
}

std::size_t last_level_cache() {
  std::size_t largest = 0;
  for (const benchmark::CPUInfo::CacheInfo& cache : benchmark::CPUInfo::Get().caches) {
    largest = std::max(largest, bytes_of(cache));
  }
  return largest == 0 ? std::size_t{32} << 20 : largest;
}

void describe_machine(const std::string& default_backend) {
  benchmark::AddCustomContext("cpu", cpu_name());
  benchmark::AddCustomContext(
      "governor", first_word("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "not known"));
  const ThreadChoice& threads = default_threads();
  benchmark::AddCustomContext("default_threads",
                              std::to_string(threads.count) + ", " + threads.reason);
  benchmark::AddCustomContext("default_backend", default_backend);
  std::string names;
  for (const BackendInfo& b : backends()) {
    if (b.runnable) names += (names.empty() ? "" : " ") + std::string(b.name);
  }
  benchmark::AddCustomContext("backends", names);
  benchmark::AddCustomContext("lockstep_version", LOCKSTEP_VERSION);
  benchmark::AddCustomContext("compiler", LOCKSTEP_COMPILER);
  benchmark::AddCustomContext(
      "flags", LOCKSTEP_FLAGS " -ffp-contract=off; backends: -O3 and the flags of their targets");
  benchmark::AddCustomContext("highway_version", LOCKSTEP_HIGHWAY_VERSION);
  benchmark::AddCustomContext("xsimd_version", LOCKSTEP_XSIMD_VERSION);
}

void describe_two_threads() {
  for (const int threads : {1, 2}) {
    benchmark::AddCustomContext("fma_gflops_" + std::to_string(threads),
                                std::to_string(peak_flops(widest_lanes(), threads) / 1e9));
  }
}

}  // namespace lockstep::bench
