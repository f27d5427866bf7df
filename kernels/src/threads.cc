#include "lockstep/threads.h"

#include <algorithm>
#include <exception>
#include <stdexcept>

#include "thread_limits.h"

#if LOCKSTEP_HAVE_OPENMP
#include <omp.h>
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

class ControlWordScope {
 public:
  explicit ControlWordScope(ControlWord word) : saved_(control_word()) { set_control_word(word); }
  ~ControlWordScope() { set_control_word(saved_); }
  ControlWordScope(const ControlWordScope&) = delete;
  ControlWordScope& operator=(const ControlWordScope&) = delete;

 private:
  ControlWord saved_;
};

}  // namespace

const ThreadChoice& default_threads() {
#if LOCKSTEP_HAVE_OPENMP
  static const ThreadChoice choice = choose_threads(read_thread_limits());
#else
  static const ThreadChoice choice{1, "built without OpenMP"};
#endif
  return choice;
}

int resolve_threads(int requested) {
  if (requested < 0) {
    throw std::invalid_argument("threads: " + std::to_string(requested) +
                                " is negative; give a count, or 0 for the default");
  }
#if LOCKSTEP_HAVE_OPENMP
  if (requested > 0) return requested;
  return omp_in_parallel() != 0 ? 1 : default_threads().count;
#else
  return 1;
#endif
}

void Team::barrier() const {
#if LOCKSTEP_HAVE_OPENMP
  if (size_ > 1) {
#pragma omp barrier
  }
#endif
}

void detail::parallel(int threads, void (*call)(void* body, const Team&), void* body) {
#if LOCKSTEP_HAVE_OPENMP
  if (threads > 1) {
    const ControlWord mode = control_word();
    std::exception_ptr failure;
#pragma omp parallel num_threads(threads)
    {
      const ControlWordScope scope(mode);
      try {
        call(body, Team(omp_get_thread_num(), omp_get_num_threads()));
      } catch (...) {
#pragma omp critical(lockstep_failure)
        if (failure == nullptr) failure = std::current_exception();
      }
    }
    if (failure != nullptr) std::rethrow_exception(failure);
    return;
  }
#else
  static_cast<void>(threads);
#endif
  call(body, Team(0, 1));
}

FlushDenormals::FlushDenormals() : saved_(control_word()) { set_control_word(saved_ | kFlushBits); }

FlushDenormals::~FlushDenormals() { set_control_word(saved_); }

}  // namespace lockstep
