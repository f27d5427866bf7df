#pragma once

#include <stdlib.h>

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

// Sets LOCKSTEP_BACKEND for one scope. Whoever runs the tests may have set it, so it must not be
// touched in any other way.
class EnvironmentScope {
 public:
  explicit EnvironmentScope(const std::string& value) {
    if (const char* old = getenv(kName)) saved_ = old;
    setenv(kName, value.c_str(), 1);
  }
  ~EnvironmentScope() {
    if (saved_.empty()) {
      unsetenv(kName);
    } else {
      setenv(kName, saved_.c_str(), 1);
    }
    set_backend("");
  }
  EnvironmentScope(const EnvironmentScope&) = delete;
  EnvironmentScope& operator=(const EnvironmentScope&) = delete;

 private:
  static constexpr const char* kName = "LOCKSTEP_BACKEND";
  std::string saved_;
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

// For test cases that compare the bits of fused backends with each other.
#define LOCKSTEP_SKIP_WITHOUT_TWO_FUSED()             \
  do {                                                \
    if (lockstep::fused_backends().size() < 2) {      \
      LOCKSTEP_SKIP("fewer than two fused backends"); \
    }                                                 \
  } while (false)
