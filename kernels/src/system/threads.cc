#include "lockstep/threads.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <string>
#include <string_view>

#include "lockstep/detail/floating_point_mode.h"
#include "lockstep/error.h"
#include "system/polling.h"
#include "system/teams.h"
#include "system/thread_limits.h"
#include "tuning.h"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace lockstep {
namespace {

#if defined(__x86_64__)
constexpr unsigned long long kFlushBits = 0x8040;  // MXCSR: flush to zero, denormals are zero
#elif defined(__aarch64__)
constexpr unsigned long long kFlushBits = 1ull << 24;  // FPCR.FZ
#else
constexpr unsigned long long kFlushBits = 0;
#endif

const TeamRuntime* const kTeamRuntimes[] = {
#if LOCKSTEP_HAVE_OPENMP
    &kOpenMpTeams,
#endif
    &kStdTeams,
};

const TeamRuntime& chosen_runtime() {
  const char* forced = std::getenv("LOCKSTEP_THREADING");
  if (forced == nullptr || *forced == '\0') return *kTeamRuntimes[0];
  std::string known;
  for (const TeamRuntime* runtime : kTeamRuntimes) {
    if (std::string_view(runtime->name) == forced) return *runtime;
    known += std::string(known.empty() ? " " : " and ") + runtime->name;
  }
  throw InvalidArgument("LOCKSTEP_THREADING: \"" + std::string(forced) +
                        "\" is not in this build, which has" + known);
}

}  // namespace

#if defined(__x86_64__)
unsigned long long detail::floating_point_mode() { return _mm_getcsr(); }
void detail::set_floating_point_mode(unsigned long long mode) {
  _mm_setcsr(static_cast<unsigned>(mode));
}
#elif defined(__aarch64__)
unsigned long long detail::floating_point_mode() {
  unsigned long long mode = 0;
  __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
  return mode;
}
void detail::set_floating_point_mode(unsigned long long mode) {
  __asm__ volatile("msr fpcr, %0" : : "r"(mode));
}
#else
unsigned long long detail::floating_point_mode() { return 0; }
void detail::set_floating_point_mode(unsigned long long) {}
#endif

const TeamRuntime& team_runtime() {
  static const TeamRuntime& runtime = chosen_runtime();
  return runtime;
}

// OpenMP's own barrier may spin for milliseconds, which on a machine with other work to do keeps
// the very threads that it waits for off the cores.
class alignas(64) detail::Barrier {
 public:
  void wait(int size) {
    const unsigned phase = phase_.load(std::memory_order_acquire);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == size) {
      arrived_.store(0, std::memory_order_relaxed);
      phase_.fetch_add(1);  // before the waiters are looked at, which a store need not be
      phase_.notify_all();
      return;
    }
    wait_for_change(phase_, phase, kBarrierPolls);
  }

 private:
  std::atomic<int> arrived_{0};
  std::atomic<unsigned> phase_{0};
};

const ThreadChoice& default_threads() {
  static const ThreadChoice choice = choose_threads(read_thread_limits());
  return choice;
}

const char* threading() { return team_runtime().title; }

namespace {

std::atomic<int> g_default_threads{0};  // 0: default_threads()

void require_count(int threads) {
  if (threads >= 0 && threads <= kMaxThreads) return;
  throw InvalidArgument("threads: " + std::to_string(threads) + " is not a count up to " +
                        std::to_string(kMaxThreads) + ", or 0 for the default");
}

}  // namespace

void set_default_threads(int count) {
  require_count(count);
  g_default_threads.store(count, std::memory_order_relaxed);
}

int resolve_threads(int requested) {
  require_count(requested);
  const TeamRuntime& runtime = team_runtime();
  if (!runtime.can_run()) return 1;
  if (requested > 0) return requested;
  if (runtime.in_team()) return 1;
  const int chosen = g_default_threads.load(std::memory_order_relaxed);
  return chosen > 0 ? chosen : default_threads().count;
}

void Team::barrier() const {
  if (barrier_ != nullptr) barrier_->wait(size_);
}

Team Team::half() const {
  const int count = size_ / 2;
  const int which = index_ >= count ? 1 : 0;
  return {index_ - which * count, count, barrier_ == nullptr ? nullptr : barrier_ + 1 + which};
}

namespace {

// A call of `parallel`, as its threads share it.
class SharedCall {
 public:
  SharedCall(void (*call)(void* body, const Team&), void* body) : call_(call), body_(body) {}

  void take_part(int index, int size) {
    const detail::FloatingPointScope mode(mode_);
    const Team team(index, size, barriers_);
    try {
      call_(body_, team);
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (failure_ == nullptr) failure_ = std::current_exception();
    }
    team.barrier();  // so that the runtime's own, at the end of the team, has nothing to wait for
  }

  void rethrow() const {
    if (failure_ != nullptr) std::rethrow_exception(failure_);
  }

 private:
  void (*call_)(void* body, const Team&);
  void* body_;
  unsigned long long mode_ = detail::floating_point_mode();
  detail::Barrier barriers_[3];
  std::mutex mutex_;
  std::exception_ptr failure_;
};

}  // namespace

void detail::parallel(int threads, void (*call)(void* body, const Team&), void* body) {
  if (threads <= 1 || !team_runtime().can_run()) {
    call(body, Team());
    return;
  }
  SharedCall shared(call, body);
  team_runtime().run(
      threads,
      [](void* context, int index, int size) {
        static_cast<SharedCall*>(context)->take_part(index, size);
      },
      &shared);
  shared.rethrow();
}

FlushDenormals::FlushDenormals() : saved_(detail::floating_point_mode()) {
  detail::set_floating_point_mode(saved_ | kFlushBits);
}

FlushDenormals::~FlushDenormals() { detail::set_floating_point_mode(saved_); }

}  // namespace lockstep
