#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace lockstep::command {

struct CacheInfo {
  int level = 0;
  std::string type;  ///< "Data", "Instruction" or "Unified"
  std::size_t kibibytes = 0;
  std::string shared_with;  ///< the CPUs that share it with CPU 0, such as "0-7"
};

/// The processor's name as Linux gives it, or "unknown".
[[nodiscard]] std::string cpu_name();
/// The caches of CPU 0, nearest first; empty where Linux does not know.
[[nodiscard]] std::vector<CacheInfo> cpu_caches();

}  // namespace lockstep::command
