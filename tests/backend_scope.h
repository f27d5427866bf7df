#pragma once

#include <string>
#include <vector>

#include "lockstep/backend.h"

namespace lockstep {

// Forces a backend for one scope.
class BackendScope {
 public:
  explicit BackendScope(std::string_view name) { set_backend(name); }
  ~BackendScope() { set_backend(""); }
  BackendScope(const BackendScope&) = delete;
  BackendScope& operator=(const BackendScope&) = delete;
};

inline std::vector<BackendInfo> runnable_infos() {
  std::vector<BackendInfo> infos = backends();
  std::erase_if(infos, [](const BackendInfo& b) { return !b.runnable; });
  return infos;
}

inline std::vector<std::string> runnable_backends() {
  std::vector<std::string> names;
  for (const BackendInfo& b : runnable_infos()) names.emplace_back(b.name);
  return names;
}

// Those that promise equal bits.
inline std::vector<std::string> fused_backends() {
  std::vector<std::string> names;
  for (const BackendInfo& b : runnable_infos()) {
    if (b.fused) names.emplace_back(b.name);
  }
  return names;
}

}  // namespace lockstep
