#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lockstep/rnn/metrics.h"

namespace lockstep::command {

[[nodiscard]] nlohmann::ordered_json evaluation_json(const Evaluation& evaluation,
                                                     const std::vector<std::string>& class_names);
[[nodiscard]] std::string evaluation_text(const Evaluation& evaluation,
                                          const std::vector<std::string>& class_names);

/// JSON on one line, with U+FFFD in place of what is not UTF-8 (class names come from files).
[[nodiscard]] std::string json_line(const nlohmann::ordered_json& json);

/// How many of the sequences are of class c.
[[nodiscard]] std::size_t class_size(const Evaluation& evaluation, std::size_t c);

/// A ratio or loss for people: "0.9833", or "-" where it is undefined.
[[nodiscard]] std::string number_text(double value);

}  // namespace lockstep::command
