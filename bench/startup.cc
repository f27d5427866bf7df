// lockstep_startup: what loading the shared libraries and the first calls cost a program.
// Usage: lockstep_startup KERNELS.so RNN.so PROCESSES
//
// Everything is timed in processes of its own, since it happens once in each. libstdc++, OpenMP's
// runtime and zlib are linked to this program, so that their loading is not a part of ours.
#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

#include "lockstep/lockstep_kernels.h"

namespace {

constexpr std::array kSteps = {"load the kernels", "load the networks", "first tanh",
                               "second tanh",      "first product",     "second product"};
using Times = std::array<double, kSteps.size()>;  // in microseconds

template <class Step>
double time_of(Step step) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  step();
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

void* load(const char* path) {
  void* library = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
  if (library == nullptr) throw std::runtime_error(dlerror());
  return library;
}

template <class Function>
Function* function_of(void* library, const char* name) {
  void* symbol = dlsym(library, name);
  if (symbol == nullptr) throw std::runtime_error(dlerror());
  return reinterpret_cast<Function*>(symbol);
}

void require_ok(lockstep_status status) {
  if (status != LOCKSTEP_OK) throw std::runtime_error("a call failed");
}

Times time_once(const char* kernels, const char* networks) {
  Times times{};
  void* library = nullptr;
  times[0] = time_of([&] { library = load(kernels); });
  times[1] = time_of([&] { load(networks); });
  const auto tanh = function_of<decltype(lockstep_tanh)>(library, "lockstep_tanh");
  const auto gemm = function_of<decltype(lockstep_gemm)>(library, "lockstep_gemm");
  const float x = 1;
  float y = 0;
  for (const std::size_t i : {2u, 3u}) times[i] = time_of([&] { require_ok(tanh(&x, &y, 1)); });
  for (const std::size_t i : {4u, 5u}) {  // on the default number of threads
    times[i] = time_of([&] {
      require_ok(gemm(LOCKSTEP_PLAIN, LOCKSTEP_PLAIN, 1, 1, 1, 1, &x, 1, &x, 1, 0, &y, 1, 0));
    });
  }
  return times;
}

// This program again, with its output, which is Times, in a pipe.
Times time_in_a_new_process(const char* kernels, const char* networks) {
  int ends[2];
  if (pipe(ends) != 0) throw std::runtime_error("no pipe");
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDOUT_FILENO);
    execl("/proc/self/exe", "lockstep_startup", kernels, networks, nullptr);
    _exit(127);
  }
  close(ends[1]);
  Times times{};
  const bool whole = read(ends[0], &times, sizeof times) == sizeof times;
  close(ends[0]);
  int status = -1;
  if (waitpid(child, &status, 0) != child || status != 0 || !whole) {
    throw std::runtime_error("the process that was to be timed failed");
  }
  return times;
}

void report(const std::vector<Times>& all) {
  std::printf("%-18s %10s %10s %10s\n", "microseconds", "quartile", "median", "quartile");
  for (std::size_t step = 0; step < kSteps.size(); ++step) {
    std::vector<double> sorted(all.size());
    std::transform(all.begin(), all.end(), sorted.begin(),
                   [&](const Times& times) { return times[step]; });
    std::sort(sorted.begin(), sorted.end());
    std::printf("%-18s %10.1f %10.1f %10.1f\n", kSteps[step], sorted[sorted.size() / 4],
                sorted[sorted.size() / 2], sorted[sorted.size() * 3 / 4]);
  }
}

int run(const std::vector<const char*>& arguments) {
  if (arguments.size() == 2) {
    const Times times = time_once(arguments[0], arguments[1]);
    return write(STDOUT_FILENO, &times, sizeof times) == sizeof times ? 0 : 1;
  }
  const int processes = arguments.size() == 3 ? std::atoi(arguments[2]) : 0;
  if (processes < 1) throw std::runtime_error("usage: KERNELS.so RNN.so PROCESSES");
  std::vector<Times> all(static_cast<std::size_t>(processes));
  for (Times& times : all) times = time_in_a_new_process(arguments[0], arguments[1]);
  report(all);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::cerr << "lockstep_startup: " << error.what() << '\n';
    return 1;
  }
}
