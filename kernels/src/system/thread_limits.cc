#include "system/thread_limits.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <thread>
#include <vector>

#include "system/teams.h"

#if defined(__linux__)
#include <sched.h>
#include <unistd.h>
#endif

namespace lockstep {
namespace {

namespace fs = std::filesystem;

// The CPUs that the program's first thread may run on; empty where the system does not say.
std::vector<int> affinity() {
  std::vector<int> cpus;
#if defined(__linux__)
  // The kernel refuses a mask that is shorter than its own.
  constexpr std::size_t kMostCpus = 1 << 20;
  for (std::size_t most = CPU_SETSIZE; most <= kMostCpus; most *= 2) {
    std::vector<cpu_set_t> mask(most / CPU_SETSIZE);
    const std::size_t size = mask.size() * sizeof(cpu_set_t);
    if (sched_getaffinity(::getpid(), size, mask.data()) != 0) continue;
    for (std::size_t cpu = 0; cpu < most; ++cpu) {
      if (CPU_ISSET_S(cpu, size, mask.data())) cpus.push_back(static_cast<int>(cpu));
    }
    break;
  }
#endif
  return cpus;
}

// A quota of -1 or "max" is none.
std::optional<double> quota_in(std::istream& quotas, std::istream& periods) {
  double quota = 0;
  double period = 0;
  if (quotas >> quota && periods >> period && quota > 0 && period > 0) return quota / period;
  return std::nullopt;
}

// Control groups 2: "<quota> <period>", in microseconds.
std::optional<double> quota_v2(const fs::path& group) {
  std::ifstream file(group / "cpu.max");
  return quota_in(file, file);
}

// Control groups 1: a file for each.
std::optional<double> quota_v1(const fs::path& group) {
  std::ifstream quotas(group / "cpu.cfs_quota_us");
  std::ifstream periods(group / "cpu.cfs_period_us");
  return quota_in(quotas, periods);
}

// The smallest quota among `base` and the groups on the path below it. In a container the path can
// name directories that are not mounted there; those are passed over.
void take_smallest(std::optional<double>& smallest, const fs::path& base, const fs::path& path,
                   std::optional<double> (*read)(const fs::path&)) {
  fs::path group = base;
  const auto take = [&] {
    if (const auto quota = read(group)) smallest = std::min(*quota, smallest.value_or(*quota));
  };
  take();
  for (const fs::path& part : path.relative_path()) {
    group /= part;
    take();
  }
}

}  // namespace

std::optional<double> read_cpu_quota(const std::string& proc_cgroup, const fs::path& root) {
  std::optional<double> smallest;
  std::istringstream lines(proc_cgroup);
  for (std::string line; std::getline(lines, line);) {
    // "<number>:<controllers>:<path>"; control groups 2 has no controllers here.
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    std::string controllers = line.substr(first, second - first + 1);
    std::replace(controllers.begin(), controllers.end(), ':', ',');
    const fs::path path = line.substr(second + 1);
    if (controllers == ",,") {
      take_smallest(smallest, root, path, quota_v2);
    } else if (controllers.find(",cpu,") != std::string::npos) {
      take_smallest(smallest, root / "cpu", path, quota_v1);
      take_smallest(smallest, root / "cpu,cpuacct", path, quota_v1);
    }
  }
  return smallest;
}

int count_cores(const std::vector<int>& cpus, const fs::path& root) {
  std::set<std::string> cores;
  for (const int cpu : cpus) {
    std::string siblings;
    std::ifstream file(root / ("cpu" + std::to_string(cpu)) / "topology/thread_siblings_list");
    if (!std::getline(file, siblings)) siblings = std::to_string(cpu);
    cores.insert(siblings);
  }
  return static_cast<int>(cores.size());
}

std::vector<int> program_cpus() {
#if LOCKSTEP_HAVE_OPENMP
  std::vector<int> bound = cpus_bound_by_openmp();
  if (!bound.empty()) return bound;
#endif
  return affinity();
}

ThreadLimits read_thread_limits() {
  ThreadLimits limits;
  const std::vector<int> cpus = program_cpus();
  if (cpus.empty()) {
    limits.cpus = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
    limits.cores = limits.cpus;
  } else {
    limits.cpus = static_cast<int>(cpus.size());
    limits.cores = count_cores(cpus, "/sys/devices/system/cpu");
  }
  std::ifstream file("/proc/self/cgroup");
  const std::string text(std::istreambuf_iterator<char>(file), {});
  limits.quota = read_cpu_quota(text, "/sys/fs/cgroup");
  if (const char* value = std::getenv("OMP_NUM_THREADS")) {
    const int count = std::atoi(value);  // the first number of a list, as OpenMP has it
    if (count > 0) limits.requested = count;
  }
  return limits;
}

ThreadChoice choose_threads(const ThreadLimits& limits) {
  ThreadChoice choice{limits.cpus, "CPUs this process may run on"};
  if (!limits.requested && limits.cores < limits.cpus) {
    choice = {limits.cores, "physical cores of the " + std::to_string(limits.cpus) +
                                " CPUs this process may run on"};
  }
  if (choice.count > kMaxThreads) choice = {kMaxThreads, "most threads of a call"};
  if (limits.quota) {
    const int whole = std::max(1, static_cast<int>(std::ceil(*limits.quota)));
    if (whole < choice.count) {
      std::ostringstream reason;
      reason << "CPU quota of the container (" << *limits.quota << " cores)";
      choice = {whole, reason.str()};
    }
  }
  if (limits.requested && *limits.requested < choice.count) {
    choice = {*limits.requested, "OMP_NUM_THREADS"};
  }
  return choice;
}

}  // namespace lockstep
