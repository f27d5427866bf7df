// What starts the threads of teams.
#pragma once

#include <vector>

namespace lockstep {

// What each member of a team runs: `index` from 0, which is the caller's thread, to `size` - 1.
using TeamMember = void (*)(void* context, int index, int size);

struct TeamRuntime {
  const char* name;  // for LOCKSTEP_THREADING
  const char* title;
  // False where threads were lost in a fork: everything must run on the caller's thread.
  bool (*can_run)();
  // Whether the caller is a member of a team, so that more threads would find no CPU of their own.
  bool (*in_team)();
  // Runs `member` once on each of at most `threads` threads, of which the system may grant fewer,
  // and waits for all. `member` throws nothing.
  void (*run)(int threads, TeamMember member, void* context);
};

extern const TeamRuntime kOpenMpTeams;  // in builds with LOCKSTEP_HAVE_OPENMP
extern const TeamRuntime kStdTeams;

// In builds with OpenMP, the CPUs to which it binds its threads; empty where it binds none. It
// binds a program's first thread to one place when it is loaded, used or not.
std::vector<int> cpus_bound_by_openmp();

// The one that this process uses. Errors: InvalidArgument where LOCKSTEP_THREADING names none.
const TeamRuntime& team_runtime();

}  // namespace lockstep
