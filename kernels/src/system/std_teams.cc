// Teams of std::thread: workers that sleep between jobs and serve whichever thread of the program
// calls next. A child after a fork starts workers of its own.
#include <pthread.h>

#include <atomic>
#include <csignal>
#include <mutex>
#include <new>
#include <thread>
#include <vector>

#include "system/polling.h"
#include "system/teams.h"
#include "system/thread_limits.h"
#include "tuning.h"

namespace lockstep {
namespace {

thread_local bool t_in_team = false;

struct Job {
  TeamMember member = nullptr;
  void* context = nullptr;
  int size = 0;
};

void take_part(const Job& job, int index) {
  const bool before = t_in_team;
  t_in_team = true;
  job.member(job.context, index, job.size);
  t_in_team = before;
}

// A thread begins with the name and the CPUs of the one that starts it, but serves others too.
void serve_whole_program() {
#if defined(__linux__)
  pthread_setname_np(pthread_self(), "lockstep");
  try {
    const std::vector<int> cpus = program_cpus();
    if (cpus.empty()) return;
    std::vector<cpu_set_t> mask(static_cast<std::size_t>(cpus.back()) / CPU_SETSIZE + 1);
    const std::size_t size = mask.size() * sizeof(cpu_set_t);
    for (const int cpu : cpus) CPU_SET_S(static_cast<std::size_t>(cpu), size, mask.data());
    pthread_setaffinity_np(pthread_self(), size, mask.data());
  } catch (const std::bad_alloc&) {
    return;
  }
#endif
}

class alignas(64) Worker {
 public:
  // Errors: std::system_error where no thread can be started.
  Worker() { std::thread(&Worker::serve, this).detach(); }

  void start(const Job& job, int index) {
    job_ = job;
    index_ = index;
    started_.fetch_add(1);
    started_.notify_one();
  }

  // Of the job that was started last.
  void wait_for_end() {
    const unsigned started = started_.load(std::memory_order_relaxed);
    wait_for_change(ended_, started - 1, kBarrierPolls);
  }

  Worker* next = nullptr;  // of a list that this worker is in

 private:
  [[noreturn]] void serve() {
    serve_whole_program();
    for (unsigned jobs = 0;; ++jobs) {
      wait_for_change(started_, jobs, kWorkerPolls);
      take_part(job_, index_);
      ended_.fetch_add(1);
      ended_.notify_one();
    }
  }

  Job job_;
  int index_ = 0;
  std::atomic<unsigned> started_{0};  // jobs, as ended_
  alignas(64) std::atomic<unsigned> ended_{0};
};

// A list of workers through their `next`.
struct Workers {
  Worker* first = nullptr;
  int count = 0;

  void push(Worker* worker) {
    worker->next = first;
    first = worker;
    ++count;
  }
  Worker* pop() {
    Worker* worker = first;
    first = worker->next;
    --count;
    return worker;
  }
};

// Workers take no signals but those that they raise themselves: handlers of the program run on its
// own threads.
Worker* new_worker() {
  sigset_t of_others;
  sigset_t before;
  sigfillset(&of_others);
  for (const int own : {SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGPROF}) {
    sigdelset(&of_others, own);
  }
  pthread_sigmask(SIG_SETMASK, &of_others, &before);
  Worker* worker = nullptr;
  try {
    worker = new Worker;
  } catch (...) {
    worker = nullptr;  // no memory or no thread: the team is smaller
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return worker;
}

// Idle workers. They live until the process ends, as this does: it has no destructor to run while
// they sleep.
class Pool {
 public:
  Workers take(int count) {
    Workers team;
    {
      const std::lock_guard lock(mutex_);
      while (team.count < count && idle_.first != nullptr) team.push(idle_.pop());
    }
    while (team.count < count) {
      Worker* worker = new_worker();
      if (worker == nullptr) break;
      team.push(worker);
    }
    return team;
  }

  void give_back(Workers team) {
    const std::lock_guard lock(mutex_);
    while (team.first != nullptr) idle_.push(team.pop());
  }

  bool survives_forks = false;
  void before_fork() { mutex_.lock(); }
  void after_fork_in_parent() { mutex_.unlock(); }
  void after_fork_in_child() {
    while (idle_.first != nullptr) delete idle_.pop();  // their threads are the parent's
    mutex_.unlock();
  }

 private:
  std::mutex mutex_;
  Workers idle_;
};

Pool& pool() {
  alignas(Pool) static unsigned char memory[sizeof(Pool)];
  static Pool* const the_pool = [] {
    Pool* made = new (memory) Pool;
    made->survives_forks =
        pthread_atfork([] { pool().before_fork(); }, [] { pool().after_fork_in_parent(); },
                       [] { pool().after_fork_in_child(); }) == 0;
    return made;
  }();
  return *the_pool;
}

bool can_run() { return pool().survives_forks; }

bool in_team() { return t_in_team; }

void run(int threads, TeamMember member, void* context) {
  const Workers team = t_in_team ? Workers{} : pool().take(threads - 1);
  const Job job{member, context, 1 + team.count};
  int index = 0;
  for (Worker* worker = team.first; worker != nullptr; worker = worker->next) {
    worker->start(job, ++index);
  }
  take_part(job, 0);
  for (Worker* worker = team.first; worker != nullptr; worker = worker->next) {
    worker->wait_for_end();
  }
  pool().give_back(team);
}

}  // namespace

const TeamRuntime kStdTeams{"std", "std::thread", can_run, in_team, run};

}  // namespace lockstep
