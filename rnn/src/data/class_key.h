// When two texts name one class.
#pragma once

#include <string>
#include <string_view>

namespace lockstep {

// Equal for texts of one class: equal texts, and equal numbers of up to 15 digits ("1", "1.0" and
// "1.0000000e+00").
[[nodiscard]] std::string class_key(std::string_view name);

}  // namespace lockstep
