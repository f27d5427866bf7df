// The `lockstep` command. Exit codes: see its help.
#include <cstdio>
#include <new>

#include "commands.h"
#include "text.h"

namespace {

using namespace lockstep::command;

int fail(int code, const std::string& sentence) {
  std::fputs(("lockstep: " + printable(sentence) + "\n").c_str(), stderr);
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  constexpr int kFailed = 1;
  constexpr int kBadUsage = 2;
  try {
    const int code = parse_command_line(argc, argv)();
    flush_output();
    return code;
  } catch (const UsageError& error) {
    return fail(kBadUsage, std::string(error.what()) + " (see lockstep --help)");
  } catch (const std::bad_alloc&) {
    return fail(kFailed, "not enough memory for a problem of this size");
  } catch (const std::exception& error) {
    return fail(kFailed, error.what());
  }
}
