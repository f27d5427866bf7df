#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "lockstep/threads.h"

namespace lockstep {

// What bounds the number of threads of this process.
struct ThreadLimits {
  int affinity = 1;              // CPUs that the scheduler may use for it
  std::optional<double> quota;   // CPUs' worth of time that its control group may use
  std::optional<int> requested;  // OMP_NUM_THREADS
};

ThreadLimits read_thread_limits();

// The quota that holds for the control group named in the text of /proc/self/cgroup: the smallest
// among the groups from `root` down to it.
std::optional<double> read_cpu_quota(const std::string& proc_cgroup,
                                     const std::filesystem::path& root);

ThreadChoice choose_threads(const ThreadLimits& limits);

}  // namespace lockstep
