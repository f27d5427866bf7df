// Options of trainings as keywords and dictionaries.
#pragma once

#include <nanobind/nanobind.h>

#include "lockstep/rnn/options.h"

namespace lockstep::python {

namespace nb = nanobind;

// Sets the options that a dictionary names: numbers, words, booleans, and None for "auto". Throws
// TypeError for other types, ValueError as Options::set.
void set_options(Options& options, const nb::dict& values);

// All options, by name.
[[nodiscard]] nb::dict options_dict(const Options& options);

}  // namespace lockstep::python
