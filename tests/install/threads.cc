// Calls Lockstep from threads of the program and from inside its own OpenMP region: the same bits
// everywhere.
#include <lockstep/threads.h>

#include <atomic>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "product.h"

int main() {
  const std::vector<float> expected = product(1);
  std::atomic<int> wrong{0};
  const auto check = [&](int threads) {
    if (product(threads) != expected) ++wrong;
  };

  std::vector<std::thread> workers;
  for (int i = 0; i < 4; ++i) {
    workers.emplace_back([&check, i] {
      for (int round = 0; round < 5; ++round) check(i);  // 0: the default number
    });
  }
  for (std::thread& worker : workers) worker.join();

  std::atomic<int> in_region{0};
#pragma omp parallel num_threads(3)
  {
    ++in_region;
    // std::thread knows of its own teams only.
    const bool knows_region = std::string(lockstep::threading()) == "OpenMP";
    if (in_region > 1 && knows_region && lockstep::resolve_threads(0) != 1) ++wrong;
    check(0);
    check(2);
  }
  check(0);
  std::cout << "in a region of " << in_region << " threads; wrong: " << wrong << '\n';
  return wrong == 0 ? 0 : 1;
}
