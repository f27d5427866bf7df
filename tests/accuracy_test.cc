// What the README promises: the command's test accuracy on real and built-in data.
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

// Trains on a set of the UEA/UCR archives, if it is at hand.
void require_accuracy(const std::string& set, const std::vector<std::string>& flags) {
  const char* const folder = std::getenv("LOCKSTEP_SHARED_DIR");
  const fs::path data = fs::path(folder != nullptr ? folder : LOCKSTEP_SHARED_DIR) / "data";
  if (!fs::exists(data / (set + "_TRAIN.ts"))) {
    LOCKSTEP_SKIP(set << " is not in " << data);
  }
  std::vector<std::string> arguments{(data / (set + "_TRAIN.ts")).string(), "--test",
                                     (data / (set + "_TEST.ts")).string()};
  arguments.insert(arguments.end(), flags.begin(), flags.end());
  CHECK(train(arguments)["test_accuracy"] >= 0.95);
}

TEST_CASE("the demo learns synthetic control, with the same weights on every machine") {
  const nlohmann::json summary = train({"--dataset", "synthetic-control"});
  CHECK(summary["test_accuracy"] >= 0.95);
  if (active_backend().fused) CHECK(summary["weights_hash"] == "60429422c1161611");
}

TEST_CASE("ItalyPowerDemand is learnt with default flags", "[optional]") {
  require_accuracy("ItalyPowerDemand", {});
}

TEST_CASE("JapaneseVowels, of unequal length, is learnt with default flags", "[optional]") {
  require_accuracy("JapaneseVowels", {});
}

TEST_CASE("BasicMotions is learnt with the README's flags", "[optional]") {
  // Its test set has 40 sequences: only the bits that the flags were chosen for are sure to do.
  if (!active_backend().fused) LOCKSTEP_SKIP("no fused multiply-add here");
  require_accuracy("BasicMotions",
                   {"--hidden", "64", "--epochs", "400", "--batch-size", "4", "--learning-rate",
                    "0.03", "--init", "gaussian", "--sigma", "0.05"});
}

}  // namespace
}  // namespace lockstep
