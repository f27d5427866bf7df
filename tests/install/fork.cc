// Forks before and after the first use, from another thread and from inside an OpenMP region of the
// program. No child hangs, and all compute the same bits.
#include <lockstep/threads.h>
#include <sys/wait.h>
#include <unistd.h>

#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "product.h"

namespace {

int team_size() {
  int size = 0;
  lockstep::parallel(2, [&](const lockstep::Team& team) {
    if (team.index() == 0) size = team.size();
  });
  return size;
}

bool computes(const std::vector<float>& expected) {
  for (const int threads : {0, 1, 2, 4}) {
    if (product(threads) != expected) return false;
  }
  return true;
}

bool child_succeeds(int (*body)(const std::vector<float>&), const std::vector<float>& expected) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);  // ends a child that hangs
    _exit(body(expected));
  }
  int status = -1;
  return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// What resolve_threads(2) was before the first fork.
int full_team = 0;

// A child of a process that has not run a team has all threads.
int work_in_parallel(const std::vector<float>& expected) {
  return computes(expected) && team_size() == full_team ? 0 : 1;
}

int child_team = 1;
int work_after_team(const std::vector<float>& expected) {
  return computes(expected) && team_size() == child_team ? 0 : 1;
}

int fork_again(const std::vector<float>& expected) {
  return child_succeeds(work_after_team, expected) ? 0 : 1;
}

int work(const std::vector<float>& expected) { return computes(expected) ? 0 : 1; }

// Every thread of an OpenMP region of the program forks.
bool children_of_region_succeed(const std::vector<float>& expected) {
  bool succeed = true;
#pragma omp parallel num_threads(2)
  {
#pragma omp critical
    if (!child_succeeds(work, expected)) succeed = false;
  }
  return succeed;
}

int failures = 0;
void check(bool holds, const char* what) {
  std::cout << (holds ? "ok      " : "FAILED  ") << what << '\n';
  if (!holds) ++failures;
}

}  // namespace

int main() {
  full_team = lockstep::resolve_threads(2);
  const std::vector<float> expected = product(1);
  check(child_succeeds(work_in_parallel, expected), "forked before the first team");
  check(children_of_region_succeed(expected), "forked in an OpenMP region before the first team");
  check(team_size() == full_team && computes(expected), "a team in the parent");
  // OpenMP's threads are the parent's alone; those of std::thread are started anew.
  if (std::string(lockstep::threading()) == "std::thread") child_team = full_team;
  check(child_succeeds(work_after_team, expected), "forked after it");
  check(child_succeeds(fork_again, expected), "forked from a forked child");
  bool from_thread = false;
  std::thread([&] { from_thread = child_succeeds(work_after_team, expected); }).join();
  check(from_thread, "forked from another thread");
  check(children_of_region_succeed(expected), "forked in an OpenMP region after it");
  check(computes(expected), "the parent afterwards");
  return failures == 0 ? 0 : 1;
}
