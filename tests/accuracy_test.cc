// What docs/accuracy.md promises: the command's test accuracy on real and built-in data.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
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
void require_accuracy(const std::string& set, const std::vector<std::string>& flags,
                      double least = 0.95) {
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
  if (fused) CHECK(summary["weights_hash"] == "1584a096c4c7fb80");
}

TEST_CASE("ItalyPowerDemand is learnt with default flags", "[optional]") {
  require_accuracy("ItalyPowerDemand", {});
}

TEST_CASE("JapaneseVowels, of unequal length, is learnt with default flags", "[optional]") {
  require_accuracy("JapaneseVowels", {});
}

TEST_CASE("BasicMotions is learnt by rectifiers", "[optional]") {
  require_accuracy("BasicMotions", {"--cell", "relu", "--learning-rate", "0.003", "--momentum",
                                    "0.9", "--batch-size", "4", "--epochs", "400"});
}

TEST_CASE("BasicMotions is learnt with default flags, though not well", "[optional]") {
  require_accuracy("BasicMotions", {}, 0.8);
}

}  // namespace
}  // namespace lockstep
