// lockstep_bench: every kernel and the training step, ours on each backend beside the peers'.
#include <benchmark/benchmark.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <stdexcept>

#include "lockstep/backend.h"
#include "lockstep/threads.h"
#include "lockstep_contender.h"
#include "machine.h"
#include "peers.h"
#include "suites.h"

namespace lockstep::bench {
namespace {

struct Options {
  bool full = false;
  bool no_peers = false;
  std::string isa = "best";
  std::vector<std::string> backends = {"best"};
  std::vector<int> threads;
};

// Lanes that a restriction to an instruction set allows.
std::size_t allowed_lanes(const std::string& isa) {
  if (isa == "avx2") return 8;
  return SIZE_MAX;
}

// Throws std::invalid_argument for a name that is none, with the list of those that run here.
void require_backends(const Options& options) {
  const std::string active(active_backend().name);
  for (const std::string& name : options.backends) {
    if (name != "best" && name != "all") set_backend(name);
  }
  set_backend(active);
}

// "best": the default, and the first of each library in THE list, which is in falling order.
std::vector<BackendInfo> chosen_backends(const Options& options) {
  std::vector<BackendInfo> chosen;
  std::vector<std::string> libraries;
  const std::string_view active = active_backend().name;
  const auto is_named = [&](const std::string& name) {
    return std::find(options.backends.begin(), options.backends.end(), name) !=
           options.backends.end();
  };
  require_backends(options);
  for (const BackendInfo& b : backends()) {
    if (!b.runnable || b.lanes > allowed_lanes(options.isa)) continue;
    const std::string library(b.name.substr(0, b.name.find('/')));
    const bool first = std::find(libraries.begin(), libraries.end(), library) == libraries.end();
    libraries.push_back(library);
    const bool is_best =
        is_named("best") && (b.name == active || (first && library != "reference"));
    if (is_best || is_named("all") || is_named(std::string(b.name))) chosen.push_back(b);
  }
  return chosen;
}

// One, two, four, ... and as many as there are.
std::vector<int> thread_counts(const Options& options) {
  const int most = default_threads().count;
  std::vector<int> counts = options.threads;
  std::sort(counts.begin(), counts.end());
  counts.erase(std::unique(counts.begin(), counts.end()), counts.end());
  if (!counts.empty()) return counts;
  for (int t = 1; t < most; t *= 2) {
    if (t == 1 || options.full) counts.push_back(t);
  }
  counts.push_back(most);
  return counts;
}

void add_options(CLI::App& app, Options& options) {
  app.add_flag("--full", options.full, "All shapes of bench/shapes.h, not only the quick ones");
  app.add_option("--isa", options.isa, "Widest instruction set for us and the peers")
      ->check(CLI::IsMember({"best", "avx2"}));
  app.add_option("--backends", options.backends,
                 "Backends by name, 'all', or 'best': the first that runs of each SIMD library")
      ->delimiter(',');
  app.add_option("--threads", options.threads, "Numbers of threads")
      ->delimiter(',')
      ->check(CLI::Range(1, kMaxThreads));
  app.add_flag("--no-peers", options.no_peers, "Measure ourselves alone");
  app.allow_extras();
  app.footer("Google Benchmark's own flags apply as well: --benchmark_filter=REGEX, ...");
}

// Google Benchmark's arguments: sound defaults, which what the user gave overrides.
std::vector<std::string> benchmark_arguments(const char* program,
                                             const std::vector<std::string>& given) {
  std::vector<std::string> arguments = {
      program, "--benchmark_repetitions=5", "--benchmark_enable_random_interleaving=true",
      "--benchmark_min_time=" LOCKSTEP_BENCH_MIN_TIME, "--benchmark_counters_tabular=true"};
  arguments.insert(arguments.end(), given.begin(), given.end());
  return arguments;
}

// Google Benchmark keeps a pointer to the program's name, so the arguments must stay.
bool initialize_google_benchmark(std::vector<std::string>& arguments) {
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  int argc = static_cast<int>(arguments.size());
  benchmark::Initialize(&argc, argv.data());
  return !benchmark::ReportUnrecognizedArguments(argc, argv.data());
}

int run(const Options& options) {
  restrict_lanes(allowed_lanes(options.isa));
  Contenders contenders;
  for (const BackendInfo& b : chosen_backends(options)) {
    contenders.push_back(lockstep_contender(b));
  }
  if (contenders.empty()) {
    throw std::invalid_argument("--isa " + options.isa + " leaves none of the chosen backends");
  }
  const auto is_active = [](const auto& c) { return c->name() == active_backend().name; };
  const auto active = std::find_if(contenders.begin(), contenders.end(), is_active);
  describe_machine(active == contenders.end() ? contenders.front()->name() : (*active)->name());
  const Selection selection{options.full ? Run::full : Run::quick, thread_counts(options)};
  const std::vector<int>& threads = selection.threads;
  const std::size_t ours = contenders.size();
  if (!options.no_peers) load_peers(contenders, options.isa, threads.back());
  std::string peers;
  for (std::size_t i = ours; i < contenders.size(); ++i) {
    peers += (i > ours ? "; " : "") + contenders[i]->name() + ": " + contenders[i]->about();
  }
  benchmark::AddCustomContext("isa", options.isa);
  benchmark::AddCustomContext("peers", peers.empty() ? "none" : peers);
  std::vector<Contender*> all;
  for (const auto& contender : contenders) all.push_back(contender.get());
  if (std::find(threads.begin(), threads.end(), 2) != threads.end()) describe_two_threads();
  register_machine_suite(selection);
  register_kernel_suites(all, selection);
  register_rnn_suites(all, selection);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

}  // namespace
}  // namespace lockstep::bench

int main(int argc, char** argv) {
  using namespace lockstep::bench;
  Options options;
  CLI::App app("Benchmarks of Lockstep's kernels and training step beside their peers");
  add_options(app, options);
  CLI11_PARSE(app, argc, argv);
  try {
    std::vector<std::string> arguments = benchmark_arguments(argv[0], app.remaining());
    if (!initialize_google_benchmark(arguments)) return 2;
    return run(options);
  } catch (const std::exception& error) {
    std::cerr << "lockstep_bench: " << error.what() << '\n';
    return 2;
  }
}
