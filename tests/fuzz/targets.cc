#include <algorithm>

#include "fuzz/target.h"

namespace lockstep::fuzz {
namespace {

constexpr Target kTargets[] = {
    {"ts", [](std::string_view input) { return try_data_file(input, "ts"); }},
    {"rows", [](std::string_view input) { return try_data_file(input, "tsv"); }},
    {"csv", [](std::string_view input) { return try_data_file(input, "csv"); }},
    {"arff", [](std::string_view input) { return try_data_file(input, "arff"); }},
    {"npz", [](std::string_view input) { return try_data_file(input, "npz"); }},
    {"npy", [](std::string_view input) { return try_data_file(input, "npy"); }},
    {"model", try_model},
    {"checkpoint", try_checkpoint},
};

}  // namespace

std::span<const Target> targets() { return kTargets; }

const Target& find_target(std::string_view name) {
  const auto* const found = std::ranges::find(kTargets, name, &Target::name);
  if (found == std::end(kTargets)) {
    throw std::invalid_argument("unknown fuzz target '" + std::string(name) + "'");
  }
  return *found;
}

}  // namespace lockstep::fuzz
