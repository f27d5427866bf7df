#include "process.h"

#include <bit>
#include <cstdint>
#include <cstdio>
#include <new>

#include "commands.h"
#include "interrupts.h"
#include "text.h"

namespace lockstep::command {
namespace {

constexpr int kFailed = 1;
constexpr int kBadUsage = 2;

Ranks* g_ranks = nullptr;
bool g_is_of_mpi = false;

Outcome run(int argc, char** argv) {
  try {
    const int code = parse_command_line(argc, argv)();
    flush_output();
    return {.code = code};
  } catch (const UsageError& error) {
    return {kBadUsage, std::string(error.what()) + " (see lockstep --help)"};
  } catch (const ReportedElsewhere& error) {
    return {.code = kFailed, .sentence = error.what(), .is_reported = true};
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    return {kFailed, error.what()};
  }
}

}  // namespace

Ranks* process_ranks() { return g_ranks; }
bool is_of_mpi() { return g_is_of_mpi; }
void set_process_ranks(Ranks& ranks) {
  g_is_of_mpi = true;
  g_ranks = ranks.size() > 1 ? &ranks : nullptr;
  set_silent(!speaks());
}
bool speaks() { return g_ranks == nullptr || g_ranks->rank() == 0; }

void require_no_standard_input(const std::string& path) {
  if (g_ranks == nullptr || path != "-") return;
  throw UsageError("several ranks cannot read standard input; name a file that all can read");
}

int signal_of_any() {
  const std::uint64_t own = noted_signal() == 0 ? 0 : std::uint64_t{1} << noted_signal();
  const std::uint64_t all = gather_bits(process_ranks(), own);
  return all == 0 ? 0 : std::countr_zero(all);
}

Outcome run_command(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::bad_alloc&) {  // perhaps only when something was to be said
    return {.code = kFailed, .is_out_of_memory = true};
  }
}

void report(const Outcome& outcome) {
  if (outcome.is_out_of_memory) {
    std::fputs("lockstep: not enough memory for a problem of this size\n", stderr);
  }
  if (outcome.sentence.empty()) return;
  std::fputs(("lockstep: " + printable(outcome.sentence) + "\n").c_str(), stderr);
}

}  // namespace lockstep::command
