// The parts of the extension module lockstep._core, one for each source file.
#pragma once

#include <nanobind/nanobind.h>

namespace lockstep::python {

namespace nb = nanobind;

void bind_errors(nb::module_& m);
void bind_system(nb::module_& m);
void bind_kernels(nb::module_& m);
void bind_options(nb::module_& m);
void bind_dataset(nb::module_& m);
void bind_results(nb::module_& m);
void bind_model(nb::module_& m);
void bind_stream(nb::module_& m);
void bind_simple_rnn(nb::module_& m);
void bind_report(nb::module_& m);

}  // namespace lockstep::python
