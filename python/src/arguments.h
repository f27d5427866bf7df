// What calls are given, or a TypeError that says what was expected.
#pragma once

#include <nanobind/nanobind.h>

#include <filesystem>
#include <string>

#include "lockstep/rnn/dataset.h"

namespace lockstep::python {

namespace nb = nanobind;

// TypeError: "`name`: expected `expected`, found" the type of `found`.
[[noreturn]] void throw_unexpected(const char* name, const std::string& expected, nb::handle found);
[[nodiscard]] const Dataset& dataset_in(nb::handle object, const char* name);
[[nodiscard]] std::filesystem::path path_in(nb::handle object);

}  // namespace lockstep::python
