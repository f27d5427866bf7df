#pragma once

#include <cstddef>
#include <string>
#include <type_traits>

#include "lockstep/export.h"
#include "lockstep/range.h"

namespace lockstep {

/// How many threads a call uses by default, and why.
struct ThreadChoice {
  int count = 1;       ///< threads, at least 1
  std::string reason;  ///< one phrase, such as "CPU quota of the container (2.5 cores)"
};

/// The smallest of: the physical cores this process may run on, the container's CPU quota (control
/// groups 1 and 2), and kMaxThreads. Two hardware threads of a core share its multiply-add units,
/// which one of them keeps busy. Where OMP_NUM_THREADS is set, up to that number of the hardware
/// threads this process may run on. What it may run on are the places to which OpenMP binds its
/// threads (OMP_PROC_BIND, OMP_PLACES, GOMP_CPU_AFFINITY) or the affinity of its first thread. Read
/// once.
///
/// Errors: as threading().
[[nodiscard]] LOCKSTEP_API const ThreadChoice& default_threads();

/// What starts the threads: "OpenMP", or "std::thread" where the environment variable
/// LOCKSTEP_THREADING is "std" when the first call asks, or where the build is without OpenMP. The
/// results are the same. With std::thread a call never ends the program for lack of threads or
/// memory, children after a fork have all threads, and all callers share workers, which may run on
/// all CPUs that the process may run on and stay until it ends (not by pthread_exit in `main`).
///
/// Errors: InvalidArgument where LOCKSTEP_THREADING names what this build has not.
[[nodiscard]] LOCKSTEP_API const char* threading();

/// Most threads that a call may ask for.
inline constexpr int kMaxThreads = 1024;

/// Lets all later calls in this process that ask for 0 threads use `count` of them, as
/// OMP_NUM_THREADS would, but also more than there are CPUs; 0 returns to default_threads().
///
/// Threads: thread-safe; a call that already runs keeps its number.
///
/// Errors: InvalidArgument for a number below 0 or above kMaxThreads.
LOCKSTEP_API void set_default_threads(int count);

/// `requested` > 0: that number; 0: that of set_default_threads, without it default_threads(), but
/// 1 inside a parallel region of the caller (with std::thread: inside a body of `parallel`). Always
/// 1 with OpenMP after a fork from a process that had run a team (see `parallel`).
///
/// Errors: InvalidArgument for a number below 0 or above kMaxThreads; as threading().
[[nodiscard]] LOCKSTEP_API int resolve_threads(int requested);

namespace detail {
class Barrier;
}

/// What each thread of a `parallel` call sees.
class LOCKSTEP_API Team {
 public:
  /// A team of one, for work that is not shared.
  Team() = default;
  /// As `parallel` makes it.
  Team(int index, int size, detail::Barrier* barrier)
      : index_(index), size_(size), barrier_(barrier) {}
  /// Which thread of the team this is, from 0 (the caller of `parallel`) to size() - 1.
  [[nodiscard]] int index() const { return index_; }
  /// Threads of the team, at least 1.
  [[nodiscard]] int size() const { return size_; }
  /// Waits until all threads of the team are here: a few microseconds awake, then asleep, so that a
  /// busy machine runs the others. Every thread must call it equally often: a body with barriers
  /// must not throw (make it noexcept).
  void barrier() const;
  /// Of a team of an even size: the half of it that this thread is in, the lower or the upper
  /// indices, with barriers of its own. Not of a half again.
  [[nodiscard]] Team half() const;

 private:
  int index_ = 0;
  int size_ = 1;
  detail::Barrier* barrier_ = nullptr;  // of this team, followed by those of its halves
};

namespace detail {
LOCKSTEP_API void parallel(int threads, void (*call)(void* body, const Team&), void* body);
}

/// Runs `body(const Team&)` once on each of `threads` threads, the caller's among them, and waits
/// for all; on the caller's alone for `threads` below 2. The team can turn out smaller if the
/// system grants fewer threads (a limit of processes, stacks of a size that memory does not have).
/// The workers run in the caller's floating-point mode (rounding, flush-to-zero). Memory is
/// allocated only where threads are started: with OpenMP for the first team of a thread of the
/// program and for a larger one than the last (keep to one size where that counts).
///
/// Threads: after a fork OpenMP's threads exist in the parent only, and GNU's runtime would wait
/// for them in the child. So a child whose parent had run a team runs everything on one thread; one
/// that was forked before has all threads. Lockstep cannot know of OpenMP regions that a program
/// ran itself: if it forks after those alone, calls in the child must ask for one thread. OpenMP's
/// runtimes end the program where they find no memory. None of this holds for std::thread.
///
/// Errors: the first exception of a body without barriers is rethrown here; std::bad_alloc; as
/// threading().
template <class Body>
void parallel(int threads, Body&& body) {
  using Plain = std::remove_reference_t<Body>;
  detail::parallel(
      threads, [](void* p, const Team& team) { (*static_cast<Plain*>(p))(team); },
      const_cast<void*>(static_cast<const void*>(&body)));
}

/// While it lives, denormal numbers are flushed to zero on this thread (and on the workers of a
/// `parallel` started from it); the caller's mode is restored at the end. Within the body of a
/// `parallel` rather than around it: threads that OpenMP starts there would inherit it for good.
///
/// Bits: the promise of equal bits ends here between x86, which flushes what is tiny after
/// rounding, and AArch64, which flushes what was tiny before: a result that rounds up to the
/// smallest normal number differs.
class LOCKSTEP_API FlushDenormals {
 public:
  FlushDenormals();
  ~FlushDenormals();
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
  unsigned long long saved_;  // control word of the floating-point unit
};

}  // namespace lockstep
