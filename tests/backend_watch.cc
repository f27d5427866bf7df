// Watches all test cases. A run that is forced to a backend must stay there: a test that leaves
// another behind makes those after it tests of other code.
#define CATCH_CONFIG_EXTERNAL_INTERFACES  // for Catch2 2
#include <cstdlib>
#include <iostream>
#include <string>

#include "catch.h"
#include "lockstep/backend.h"

namespace lockstep {
namespace {

#if CATCH_VERSION_MAJOR >= 3
using Listener = Catch::EventListenerBase;
#else
using Listener = Catch::TestEventListenerBase;
#endif

std::string forced_and_active() {
  const char* forced = std::getenv("LOCKSTEP_BACKEND");
  return std::string(forced != nullptr ? forced : "none") + ", on " +
         std::string(active_backend().name);
}

class BackendWatch : public Listener {
 public:
  using Listener::Listener;

  void testCaseStarting(const Catch::TestCaseInfo& info) override {
    Listener::testCaseStarting(info);
    name_ = info.name;
    before_ = forced_and_active();
  }

  // No assertion counts any more here.
  void testCaseEnded(const Catch::TestCaseStats& stats) override {
    Listener::testCaseEnded(stats);
    if (forced_and_active() == before_) return;
    std::cerr << '"' << name_ << "\" began with LOCKSTEP_BACKEND " << before_ << " and ended with "
              << forced_and_active() << '\n';
    std::abort();
  }

 private:
  std::string name_;
  std::string before_;
};

CATCH_REGISTER_LISTENER(BackendWatch)

}  // namespace
}  // namespace lockstep
