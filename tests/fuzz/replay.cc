// What inputs of a target take in this build: lockstep_fuzz_replay TARGET FILE...
// Or writes the seeds that are made anew: lockstep_fuzz_replay --seeds FOLDER
#include <chrono>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "fuzz/input.h"
#include "fuzz/seeds.h"

namespace lockstep::fuzz {
namespace {

namespace fs = std::filesystem;

void write_seeds(const fs::path& folder) {
  for (const Seed& seed : written_seeds()) {
    fs::create_directories(folder / seed.target);
    std::ofstream(folder / seed.target / seed.name, std::ios::binary) << seed.bytes;
  }
}

void replay(const Target& target, const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string input{std::istreambuf_iterator<char>(file), {}};
  most_memory() = 0;
  const auto start = std::chrono::steady_clock::now();
  const bool is_read = target.try_input(input);
  const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - start;
  std::printf("%-7s %9.2f ms %9zu KiB  %s\n", is_read ? "read" : "refused", time.count(),
              most_memory() / 1024, path.c_str());
}

}  // namespace
}  // namespace lockstep::fuzz

int main(int argc, char** argv) {
  using namespace lockstep::fuzz;
  try {
    if (argc == 3 && std::string_view(argv[1]) == "--seeds") {
      write_seeds(argv[2]);
      return 0;
    }
    if (argc < 2) throw std::invalid_argument("expected TARGET FILE..., or --seeds FOLDER");
    for (int i = 2; i < argc; ++i) replay(find_target(argv[1]), argv[i]);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "lockstep_fuzz_replay: %s\n", error.what());
    return 1;
  }
}
