// Data sets as .csv text.
#pragma once

#include <string>

#include "lockstep/rnn/data_file.h"

namespace lockstep::fuzz {

// The text from which read_data_file with options_for(data) makes a set that is_same.
[[nodiscard]] std::string csv_text(const Dataset& data);
[[nodiscard]] ReadOptions options_for(const Dataset& data);
// Whether the text can hold it: it has no NUL.
[[nodiscard]] bool has_csv_text(const Dataset& data);
// Whether sizes, values, targets, weights and names are equal. Classes may have other numbers, and
// those that do not occur may be absent.
[[nodiscard]] bool is_same(const Dataset& a, const Dataset& b);

}  // namespace lockstep::fuzz
