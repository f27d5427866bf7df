#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "lockstep/threads.h"

namespace lockstep {

// What bounds the number of threads of this process.
struct ThreadLimits {
  int cpus = 1;                  // hardware threads that the scheduler may use for it
  int cores = 1;                 // physical cores that these belong to
  std::optional<double> quota;   // CPUs' worth of time that its control group may use
  std::optional<int> requested;  // OMP_NUM_THREADS
};

ThreadLimits read_thread_limits();

// The CPUs that the program may run on; empty where the system does not say.
std::vector<int> program_cpus();

// The physical cores that `cpus` are hardware threads of, by the files in `root`; where these do
// not say it, each CPU is a core.
int count_cores(const std::vector<int>& cpus, const std::filesystem::path& root);

// The quota that holds for the control group named in the text of /proc/self/cgroup: the smallest
// among the groups from `root` down to it.
std::optional<double> read_cpu_quota(const std::string& proc_cgroup,
                                     const std::filesystem::path& root);

ThreadChoice choose_threads(const ThreadLimits& limits);

}  // namespace lockstep
