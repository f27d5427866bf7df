#include "lockstep/threads.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <string>

#include "lockstep/error.h"
#include "system/thread_limits.h"
#include "tuning.h"

#if LOCKSTEP_HAVE_OPENMP
#include <omp.h>
#include <pthread.h>
#endif
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace lockstep {
namespace {

using ControlWord = unsigned long long;

#if defined(__x86_64__)
constexpr ControlWord kFlushBits = 0x8040;  // MXCSR: flush to zero, denormals are zero
ControlWord control_word() { return _mm_getcsr(); }
void set_control_word(ControlWord word) { _mm_setcsr(static_cast<unsigned>(word)); }
#elif defined(__aarch64__)
constexpr ControlWord kFlushBits = 1ull << 24;  // FPCR.FZ
ControlWord control_word() {
  ControlWord word = 0;
  __asm__ volatile("mrs %0, fpcr" : "=r"(word));
  return word;
}
void set_control_word(ControlWord word) { __asm__ volatile("msr fpcr, %0" : : "r"(word)); }
#else
constexpr ControlWord kFlushBits = 0;
ControlWord control_word() { return 0; }
void set_control_word(ControlWord) {}
#endif

// A busy-wait hint to the core.
void pause() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

#if LOCKSTEP_HAVE_OPENMP
// Whether this process was forked from one that had run a team. OpenMP's threads are not forked
// with it, and that of GNU would wait for them forever.
std::atomic<bool> g_has_lost_threads{false};

// To be called before a team runs. Nothing is done when the library is loaded: a process that forks
// before its first team leaves the child all of its threads.
void watch_forks() {
  static const int registered = pthread_atfork(
      nullptr, nullptr, [] { g_has_lost_threads.store(true, std::memory_order_relaxed); });
  static_cast<void>(registered);  // it fails for lack of memory only
}

bool can_run_teams() { return !g_has_lost_threads.load(std::memory_order_relaxed); }
#endif

}  // namespace

// OpenMP's own barrier may spin for milliseconds, which on a machine with other work to do keeps
// the very threads that it waits for off the cores.
class alignas(64) detail::Barrier {
 public:
  void wait(int size) {
    const unsigned phase = phase_.load(std::memory_order_acquire);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == size) {
      arrived_.store(0, std::memory_order_relaxed);
      phase_.store(phase + 1, std::memory_order_release);
      phase_.notify_all();
      return;
    }
    for (int i = 0; i < kBarrierPolls; ++i) {
      if (phase_.load(std::memory_order_acquire) != phase) return;
      pause();
    }
    phase_.wait(phase, std::memory_order_acquire);
  }

 private:
  std::atomic<int> arrived_{0};
  std::atomic<unsigned> phase_{0};
};

const ThreadChoice& default_threads() {
#if LOCKSTEP_HAVE_OPENMP
  static const ThreadChoice choice = choose_threads(read_thread_limits());
#else
  static const ThreadChoice choice{1, "built without OpenMP"};
#endif
  return choice;
}

int resolve_threads(int requested) {
  if (requested < 0 || requested > kMaxThreads) {
    throw InvalidArgument("threads: " + std::to_string(requested) + " is not a count up to " +
                          std::to_string(kMaxThreads) + ", or 0 for the default");
  }
#if LOCKSTEP_HAVE_OPENMP
  if (!can_run_teams()) return 1;
  if (requested > 0) return requested;
  return omp_in_parallel() != 0 ? 1 : default_threads().count;
#else
  return 1;
#endif
}

void Team::barrier() const {
  if (barrier_ != nullptr) barrier_->wait(size_);
}

Team Team::half() const {
  const int count = size_ / 2;
  const int which = index_ >= count ? 1 : 0;
  return {index_ - which * count, count, barrier_ == nullptr ? nullptr : barrier_ + 1 + which};
}

void detail::parallel(int threads, void (*call)(void* body, const Team&), void* body) {
#if LOCKSTEP_HAVE_OPENMP
  if (threads > 1 && can_run_teams()) {
    watch_forks();
    const ControlWord mode = control_word();
    std::exception_ptr failure;
    Barrier barriers[3];
#pragma omp parallel num_threads(threads)
    {
      const ControlWord own = control_word();
      set_control_word(mode);
      const Team team(omp_get_thread_num(), omp_get_num_threads(), barriers);
      try {
        call(body, team);
      } catch (...) {
#pragma omp critical(lockstep_failure)
        if (failure == nullptr) failure = std::current_exception();
      }
      team.barrier();  // so that OpenMP's, at the end of the region, has nothing to wait for
      set_control_word(own);
    }
    if (failure != nullptr) std::rethrow_exception(failure);
    return;
  }
#else
  static_cast<void>(threads);
#endif
  call(body, Team());
}

FlushDenormals::FlushDenormals() : saved_(control_word()) { set_control_word(saved_ | kFlushBits); }

FlushDenormals::~FlushDenormals() { set_control_word(saved_); }

}  // namespace lockstep
