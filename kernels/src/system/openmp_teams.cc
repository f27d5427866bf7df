// Teams of OpenMP's threads.
#include <omp.h>
#include <pthread.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cctype>
#include <cstddef>
#include <cstdlib>
#include <vector>

#include "lockstep/threads.h"
#include "system/teams.h"

namespace lockstep {
namespace {

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

bool can_run() { return !g_has_lost_threads.load(std::memory_order_relaxed); }

bool in_team() { return omp_in_parallel() != 0; }

// The size of the stacks of OpenMP's threads, in bytes; 0 where it is the system's.
std::size_t stack_size() {
  for (const char* name : {"OMP_STACKSIZE", "GOMP_STACKSIZE"}) {
    const char* text = std::getenv(name);
    if (text == nullptr) continue;
    char* end = nullptr;
    const unsigned long long size = std::strtoull(text, &end, 10);
    if (end == text) continue;
    while (std::isspace(static_cast<unsigned char>(*end)) != 0) ++end;
    switch (std::tolower(static_cast<unsigned char>(*end))) {
      case 'b':
        return size;
      case 'm':
        return size << 20;
      case 'g':
        return size << 30;
      default:
        return size << 10;
    }
  }
  return 0;
}

void* wait_for_end(void* flag) {
  static_cast<std::atomic<bool>*>(flag)->wait(false);
  return nullptr;
}

// How many of `count` threads the system starts at the same time. They end again.
int startable(std::size_t count) {
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0) return 0;
  if (const std::size_t size = stack_size()) pthread_attr_setstacksize(&attributes, size);
  std::atomic<bool> ends{false};
  std::array<pthread_t, kMaxThreads> threads{};
  std::size_t started = 0;
  while (started < std::min(count, threads.size()) &&
         pthread_create(&threads[started], &attributes, wait_for_end, &ends) == 0) {
    ++started;
  }
  ends = true;
  ends.notify_all();
  for (std::size_t i = 0; i < started; ++i) pthread_join(threads[i], nullptr);
  pthread_attr_destroy(&attributes);
  return static_cast<int>(started);
}

// GNU's and LLVM's runtimes end the program where a thread of theirs cannot start. So a team that
// needs new ones is no larger than the number of threads that start right before it.
int granted(int threads) {
  static thread_local int last = 1;  // OpenMP keeps the threads of this thread's last team
  if (threads > last) threads = 1 + startable(static_cast<std::size_t>(threads - 1));
  last = std::max(threads, 1);
  return last;
}

void run(int threads, TeamMember member, void* context) {
  watch_forks();
  threads = granted(threads);
#pragma omp parallel num_threads(threads)
  member(context, omp_get_thread_num(), omp_get_num_threads());
}

}  // namespace

std::vector<int> cpus_bound_by_openmp() {
  std::vector<int> cpus;
  for (int place = 0; place < omp_get_num_places(); ++place) {
    std::vector<int> of_place(static_cast<std::size_t>(omp_get_place_num_procs(place)));
    omp_get_place_proc_ids(place, of_place.data());
    cpus.insert(cpus.end(), of_place.begin(), of_place.end());
  }
  std::ranges::sort(cpus);
  cpus.erase(std::ranges::unique(cpus).begin(), cpus.end());
  return cpus;
}

const TeamRuntime kOpenMpTeams{"openmp", "OpenMP", can_run, in_team, run};

}  // namespace lockstep
