#pragma once

#include <optional>
#include <string_view>

namespace lockstep::data_file {

// "2024-03-01", "2024-03-01 12:30:00", "2024-03-01T12:30:00.5Z" (ISO 8601) in seconds since
// 1970-01-01; nothing for other texts.
std::optional<double> parse_date(std::string_view text);

}  // namespace lockstep::data_file
