// The `lockstep` command. Exit codes: see its help.
#include <cstdio>
#include <new>

#include "command_line.h"
#include "commands.h"
#include "text.h"

namespace lockstep::command {
namespace {

void complain(const std::string& sentence) {
  std::fputs(("lockstep: " + printable(sentence) + "\n").c_str(), stderr);
}

int run_and_report(int argc, char** argv) {
  constexpr int kFailed = 1;
  constexpr int kBadUsage = 2;
  try {
    const int code = parse_command_line(argc, argv)();
    flush_output();
    return code;
  } catch (const UsageError& error) {
    complain(std::string(error.what()) + " (see lockstep --help)");
    return kBadUsage;
  } catch (const std::bad_alloc&) {
    complain("not enough memory for a problem of this size");
  } catch (const std::exception& error) {
    complain(error.what());
  }
  return kFailed;
}

}  // namespace
}  // namespace lockstep::command

int main(int argc, char** argv) { return lockstep::command::run_and_report(argc, argv); }
