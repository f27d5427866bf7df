// The exit status of the suites, under the main function of Catch2: 1 where a test case failed; 77,
// which ctest takes for skipped, where none did and one could say nothing. (Catch2 2 alone returns
// the number of failed assertions, which can be 77 too.)
#define CATCH_CONFIG_EXTERNAL_INTERFACES  // of Catch2 2
#include <cstdlib>

#include "catch.h"

namespace lockstep {
namespace {

#if CATCH_VERSION_MAJOR == 2
using Listener = Catch::TestEventListenerBase;
#else
using Listener = Catch::EventListenerBase;
#endif

struct ExitStatus : Listener {
  using Listener::Listener;

  void testRunEnded(const Catch::TestRunStats& run) override {
    if (run.totals.assertions.failed > 0 || run.totals.testCases.failed > 0) {
      status = 1;
    } else if (skipped_cases > 0) {
      status = 77;
    }
  }
  // After all reports.
  ~ExitStatus() override {
    if (status != 0) std::exit(status);
  }

  int status = 0;
};

CATCH_REGISTER_LISTENER(ExitStatus)

}  // namespace
}  // namespace lockstep
