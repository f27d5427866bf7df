// The program of one target, for libFuzzer.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "fuzz/input.h"

namespace {

const lockstep::fuzz::Target& target() {
  static const lockstep::fuzz::Target& found = lockstep::fuzz::find_target(LOCKSTEP_FUZZ_TARGET);
  return found;
}

}  // namespace

// What libFuzzer and the sanitizers ask for by these names.
// NOLINTBEGIN(bugprone-reserved-identifier, readability-identifier-naming)
extern "C" const char* __asan_default_options() { return "quarantine_size_mb=16"; }
extern "C" const char* __ubsan_default_options() { return "halt_on_error=1:print_stacktrace=1"; }

extern "C" int LLVMFuzzerInitialize(int* /*argc*/, char*** /*argv*/) {
  std::atexit([] {
    std::fprintf(stderr, "stat::most_reader_memory_kb:    %zu\n",
                 lockstep::fuzz::most_memory() / 1024);
  });
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  static_cast<void>(target().try_input({reinterpret_cast<const char*>(bytes), size}));
  return 0;
}
// NOLINTEND(bugprone-reserved-identifier, readability-identifier-naming)
