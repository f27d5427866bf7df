// The `lockstep` command. Exit codes: see its help.
#include <cstdio>
#include <new>

#include "commands.h"
#include "text.h"

namespace {

using namespace lockstep::command;

constexpr int kFailed = 1;
constexpr int kBadUsage = 2;

int fail(int code, const std::string& sentence) {
  std::fputs(("lockstep: " + printable(sentence) + "\n").c_str(), stderr);
  return code;
}

int run(int argc, char** argv) {
  try {
    const int code = parse_command_line(argc, argv)();
    flush_output();
    return code;
  } catch (const UsageError& error) {
    return fail(kBadUsage, std::string(error.what()) + " (see lockstep --help)");
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    return fail(kFailed, error.what());
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::bad_alloc&) {  // perhaps only when something was to be said
    std::fputs("lockstep: not enough memory for a problem of this size\n", stderr);
    return kFailed;
  }
}
