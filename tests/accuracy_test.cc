// What docs/accuracy.md promises: the command's test accuracy on real and built-in data.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "catch.h"
#include "lockstep/backend.h"
#include "process.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

nlohmann::json train(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {LOCKSTEP_COMMAND_PATH, "train", "--json", "--quiet"});
  Process process(arguments);
  const int code = process.wait();
  INFO(process.err());
  REQUIRE(code == 0);
  return nlohmann::json::parse(process.out());
}

// Trains on a set of the UEA/UCR archives, if it is at hand: the median of three seeds, as the sets
// are small.
void require_accuracy(const std::string& set, const std::vector<std::string>& flags, double least) {
  const char* const folder = std::getenv("LOCKSTEP_SHARED_DIR");
  const fs::path data = fs::path(folder != nullptr ? folder : LOCKSTEP_SHARED_DIR) / "data";
  if (!fs::exists(data / (set + "_TRAIN.ts"))) {
    LOCKSTEP_SKIP(set << " is not in " << data);
  }
  std::vector<double> accuracies;
  for (const char* seed : {"1", "2", "3"}) {
    std::vector<std::string> arguments{(data / (set + "_TRAIN.ts")).string(), "--test",
                                       (data / (set + "_TEST.ts")).string(), "--seed", seed};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    accuracies.push_back(train(arguments)["test_accuracy"]);
  }
  std::ranges::sort(accuracies);
  CHECK(accuracies[1] >= least);
}

// Backends without fused multiply-add round otherwise and end at other weights.
TEST_CASE("the demo learns synthetic control, with the same weights on every machine") {
  const nlohmann::json summary = train({"--dataset", "synthetic-control"});
  const bool fused = active_backend().fused;
  CHECK(summary["test_accuracy"] >= (fused ? 0.98 : 0.95));
  if (fused) CHECK(summary["weights_hash"] == "db4b39b8a2d1ab77");
}

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream text(line);
  return {std::istream_iterator<std::string>(text), {}};
}

// Lines such as "lockstep train --dataset parity  # accuracy 0.92".
TEST_CASE("every demo of the README ends where it says", "[optional]") {
  if (std::string_view(LOCKSTEP_SANITIZE) != "") LOCKSTEP_SKIP("the build is sanitized: slow");
  std::ifstream readme(LOCKSTEP_README);
  std::size_t demos = 0;
  for (std::string line; std::getline(readme, line);) {
    const std::size_t end = line.find('#');
    if (!line.starts_with("    lockstep train --dataset ") || end == std::string::npos) continue;
    std::vector<std::string> flags = words_of(line.substr(0, end));
    const std::vector<std::string> expected = words_of(line.substr(end + 1));
    flags.erase(flags.begin(), flags.begin() + 2);
    CAPTURE(line);
    const nlohmann::json summary = train(flags);
    const double found = summary[expected.at(0) == "R2" ? "test_r2" : "test_accuracy"];
    const double promised = std::stod(expected.at(1));
    CHECK(found >= promised - (active_backend().fused ? 0.0051 : 0.1));
    ++demos;
  }
  CHECK(demos == 8);
}

TEST_CASE("ItalyPowerDemand is learnt with default flags", "[optional]") {
  require_accuracy("ItalyPowerDemand", {}, 0.94);
}

TEST_CASE("ItalyPowerDemand is learnt by a vanilla network", "[optional]") {
  require_accuracy("ItalyPowerDemand",
                   {"--cell", "tanh", "--hidden", "100", "--pool", "last", "--optimizer", "sgd"},
                   0.96);
}

TEST_CASE("JapaneseVowels, of unequal length, is learnt with default flags", "[optional]") {
  require_accuracy("JapaneseVowels", {}, 0.96);
}

TEST_CASE("BasicMotions is learnt with default flags", "[optional]") {
  require_accuracy("BasicMotions", {}, 0.97);
}

}  // namespace
}  // namespace lockstep
