#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "lockstep/export.h"

/// Kernels and recurrent networks for C++. The functions for C are outside of it.
namespace lockstep {

/// One way to run the kernels: a SIMD library and the instruction set it is compiled for.
struct BackendInfo {
  std::string_view name;  ///< "highway/avx3", "xsimd/avx2", "reference", ...
  bool runnable = false;  ///< this CPU and operating system can run it
  bool fused = false;     ///< has fused multiply-add: same bits as every other such backend
  std::size_t lanes = 0;  ///< float32 per vector; 0 if not runnable
};

/// Every backend of this build, best first. The last is "reference", which always runs: plain loops
/// that accumulate in double.
[[nodiscard]] LOCKSTEP_API std::vector<BackendInfo> backends();

/// The backend that runs the kernels: the one forced by `set_backend`, otherwise the one that the
/// environment variable LOCKSTEP_BACKEND names, otherwise the best that this CPU can run.
///
/// Errors: as `set_backend` if the variable names no such backend; the first call of any kernel
/// fails in the same way.
[[nodiscard]] LOCKSTEP_API BackendInfo active_backend();

/// Forces a backend for all later calls in this process; an empty name returns to the default.
///
/// Threads: thread-safe, but a kernel that already runs keeps its backend, and PackedMatrix and
/// GemmPlan keep the one that they were made on.
///
/// Errors: InvalidArgument for an unknown name, Unsupported for one that this CPU cannot run, each
/// with the list of names that would do.
LOCKSTEP_API void set_backend(std::string_view name);

/// While it lives, kernels that its thread calls run on another backend than `set_backend` says;
/// the last of several on one thread counts. What a training or prediction does on other threads
/// does not see it.
///
/// Threads: made and destroyed on one thread.
///
/// Errors: as of `set_backend`, without a name InvalidArgument too.
class LOCKSTEP_API ThreadBackend {
 public:
  /// `name` is one of those that run here.
  explicit ThreadBackend(std::string_view name);
  ~ThreadBackend();
  ThreadBackend(const ThreadBackend&) = delete;
  ThreadBackend& operator=(const ThreadBackend&) = delete;

 private:
  const void* saved_;  // what was forced before
};

/// The backend that the last kernel called from this thread ran on; empty before the first call.
[[nodiscard]] LOCKSTEP_API std::string_view last_backend();

/// The caches that products are planned for. They change speed only, never a result.
struct Caches {
  std::size_t l2_bytes = std::size_t{1024} * 1024;  ///< of a core; counts where the L3 is far
  /// Whether the last level is behind a mesh, as on Intel's server cores: it answers in about 200
  /// cycles, where the rings and crossbars of others take 50 to 70.
  bool far_l3 = false;

  bool operator==(const Caches&) const = default;  ///< whether all parts are equal
};

/// What the CPU says, changed by the environment variable LOCKSTEP_CACHES: "l2=2M,l3=far" or a part
/// of it, a size of at least 64 KiB and less than 1 GiB in bytes or with K or M. Read once.
///
/// Errors: InvalidArgument for anything else; the first call of any kernel fails in the same way.
[[nodiscard]] LOCKSTEP_API const Caches& caches();

}  // namespace lockstep
