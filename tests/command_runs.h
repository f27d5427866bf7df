// Runs of the `lockstep` command, as its users start it.
#pragma once

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "catch.h"
#include "process.h"

namespace lockstep {

using nlohmann::json;

struct Outcome {
  int code;
  std::string out;
  std::string err;
};

inline std::vector<std::string> command_line(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), LOCKSTEP_COMMAND_PATH);
  return arguments;
}

inline Outcome run(const std::vector<std::string>& arguments,
                   const std::vector<std::string>& environment = {}) {
  Process process(command_line(arguments), environment);
  const int code = process.wait();
  return {code, process.out(), process.err()};
}

inline std::vector<std::string> operator+(std::vector<std::string> a,
                                          const std::vector<std::string>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

inline std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// Runs a command that must succeed and returns the JSON of its last line.
inline json run_json(const std::vector<std::string>& arguments,
                     const std::vector<std::string>& environment = {}) {
  const Outcome outcome = run(arguments + std::vector<std::string>{"--json"}, environment);
  INFO(outcome.err);
  REQUIRE(outcome.code == 0);
  return json::parse(lines_of(outcome.out).back());
}

// The lines of standard error that do not say what was read.
inline std::vector<std::string> without_reading(const std::string& err) {
  std::vector<std::string> lines = lines_of(err);
  std::erase_if(lines, [](const std::string& line) { return line.starts_with("lockstep: read "); });
  return lines;
}

// Must fail with this code, one line on standard error that holds `part`, and no output.
inline void require_failure(int code, const std::string& part,
                            const std::vector<std::string>& arguments,
                            const std::vector<std::string>& environment = {}) {
  const Outcome outcome = run(arguments, environment);
  INFO(outcome.err);
  CHECK(outcome.code == code);
  CHECK(outcome.out.empty());
  const std::vector<std::string> lines = without_reading(outcome.err);
  REQUIRE(lines.size() == 1);
  CHECK_THAT(lines[0], ContainsSubstring(part));
}

// Sequences of 5 to 8 steps that rise or fall.
inline std::string ramps_csv(int sequences, const std::string& up = "up") {
  std::string text = "sample,step,label,x\n";
  for (int i = 0; i < sequences; ++i) {
    const bool rises = i % 2 == 0;
    for (int t = 0; t < 5 + i % 4; ++t) {
      text += std::to_string(i) + "," + std::to_string(t) + "," + (rises ? up : "down") + "," +
              std::to_string((rises ? t : -t) + 0.1 * (i % 3)) + "\n";
    }
  }
  return text;
}

}  // namespace lockstep
