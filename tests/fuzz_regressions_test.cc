// What fuzzers begin from is read, and what they once found is read or refused, within bounds of
// memory: fuzz/make_inputs.py explains the files.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "allocation_count.h"
#include "catch.h"
#include "fuzz/input.h"
#include "fuzz/seeds.h"

namespace lockstep::fuzz {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> files_in(const fs::path& folder) {
  std::vector<fs::path> files;
  if (!fs::exists(folder)) return files;
  for (const auto& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
  return files;
}

std::string content_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

fs::path folder_of(const char* kind, const Target& target) {
  return fs::path(LOCKSTEP_TEST_DATA_DIR) / ".." / "fuzz" / kind / target.name;
}

// Without zlib nothing that is compressed is read.
bool has_zlib() {
  return find_target("npz").try_input(
      content_of(fs::path(LOCKSTEP_TEST_DATA_DIR) / "unlabelled.npz"));
}

TEST_CASE("what fuzzers begin from is read") {
  if (!has_zlib()) LOCKSTEP_SKIP("built without zlib");
  std::size_t files = 0;
  for (const Target& target : targets()) {
    for (const fs::path& path : files_in(folder_of("corpus", target))) {
      CAPTURE(path);
      CHECK(target.try_input(content_of(path)));
      ++files;
    }
  }
  CHECK(files >= 25);
}

TEST_CASE("models and checkpoints that fuzzers begin from are read") {
  for (const Seed& seed : written_seeds()) {
    CAPTURE(seed.target, seed.name);
    CHECK(find_target(seed.target).try_input(seed.bytes));
  }
}

// Each target throws where its reader does anything else.
TEST_CASE("what once did harm is read or refused within bounds") {
  std::size_t files = 0;
  for (const Target& target : targets()) {
    for (const fs::path& path : files_in(folder_of("regressions", target))) {
      CAPTURE(path);
      const std::string input = content_of(path);
      CHECK(input.size() <= kLongestInput);
      CHECK_NOTHROW(target.try_input(input));
      ++files;
    }
  }
  CHECK(files >= 45);
}

TEST_CASE("a reader that takes more memory than it may is found") {
  const auto take = [](std::size_t bytes) {
    return within_bounds([&] { return std::string(bytes, 'x').size(); });
  };
  CHECK(take(kMemoryBound - 4096) == kMemoryBound - 4096);
  CHECK_THROWS_AS(take(kMemoryBound + 1), Defect);
  CHECK_THROWS_AS(within_bounds([&]() -> int {
                    const std::string text(kMemoryBound + 1, 'x');
                    throw std::runtime_error(text.substr(0, 1));
                  }),
                  Defect);
}

}  // namespace
}  // namespace lockstep::fuzz
